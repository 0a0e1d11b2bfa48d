#!/usr/bin/env bash
# openai_python_test.sh PAGODA BUILD_DIR: OpenAI's Python client against the server. Exit code 77: skipped.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/running_server.sh"

python=$2/venv/bin/python
if ! "$python" -c 'import openai' 2>/dev/null; then
  python3 -m venv "$2/venv" 2>/dev/null || skip "python3-venv is not installed"
  timeout 180 "$python" -m pip install -q --disable-pip-version-check openai >"$2/pip.log" 2>&1 ||
    skip "openai cannot be installed from PyPI ($(tail -n 1 "$2/pip.log"))"
fi
start_server "$1" "$2" --api-key test-key
"$python" "$here/openai_python_test.py" "$url"
