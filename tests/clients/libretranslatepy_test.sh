#!/usr/bin/env bash
# libretranslatepy_test.sh PAGODA BUILD_DIR: LibreTranslate's Python client against the server. Exit code 77: skipped.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/running_server.sh"

# A folder of its own: tests run beside each other.
venv=$2/libretranslatepy_venv
python=$venv/bin/python
if ! "$python" -c 'import libretranslatepy' 2>/dev/null; then
  python3 -m venv "$venv" 2>/dev/null || skip "python3-venv is not installed"
  timeout 180 "$python" -m pip install -q --disable-pip-version-check libretranslatepy >"$2/libretranslatepy_pip.log" 2>&1 ||
    skip "libretranslatepy cannot be installed from PyPI ($(tail -n 1 "$2/libretranslatepy_pip.log"))"
fi
data=$2/libretranslatepy_data
rm -rf "$data"
start_server "$1" "$2" --api-key test-key --api-key other-key --data "$data"
"$python" "$here/libretranslatepy_test.py" "$url"
