#!/usr/bin/env bash
# deepl_test.sh PAGODA BUILD_DIR: DeepL's Python client against the server. Exit code 77: skipped.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/running_server.sh"

# A folder of its own: tests run beside each other.
venv=$2/deepl_venv
python=$venv/bin/python
if ! "$python" -c 'import deepl' 2>/dev/null; then
  python3 -m venv "$venv" 2>/dev/null || skip "python3-venv is not installed"
  timeout 180 "$python" -m pip install -q --disable-pip-version-check deepl >"$2/deepl_pip.log" 2>&1 ||
    skip "deepl cannot be installed from PyPI ($(tail -n 1 "$2/deepl_pip.log"))"
fi
data=$2/deepl_data
rm -rf "$data"
start_server "$1" "$2" --api-key test-key --api-key other-key --data "$data"
"$python" "$here/deepl_test.py" "$url"
