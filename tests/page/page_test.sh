#!/usr/bin/env bash
# page_test.sh PAGODA BUILD_DIR [PYTEST_FLAG]...: the page in Chromium, against `PAGODA serve` and against a server that
# misbehaves on demand. Exit code 77: skipped.
set -euo pipefail
pagoda=$(realpath "$1")
mkdir -p "$2"
build=$(realpath "$2")
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

skip() { echo "skipped: $*"; exit 77; }
command -v chromium >/dev/null && command -v chromedriver >/dev/null ||
  skip "chromium and chromedriver are not installed (scripts/install-packages.sh page)"
python=$build/venv/bin/python
if ! "$python" -c 'import aiohttp, pytest, pytest_rerunfailures, selenium' 2>/dev/null; then
  python3 -m venv "$build/venv" 2>/dev/null || skip "python3-venv is not installed"
  timeout 180 "$python" -m pip install -q --disable-pip-version-check aiohttp pytest pytest-rerunfailures selenium >"$build/pip.log" 2>&1 ||
    skip "aiohttp, pytest, pytest-rerunfailures and selenium cannot be installed from PyPI ($(tail -n 1 "$build/pip.log"))"
fi
cd "$here"
# A browser on a busy machine is late now and then: what fails twice more has failed.
exec "$python" -m pytest -q -rA --reruns 2 -p no:cacheprovider --pagoda "$pagoda" "${@:3}" page_test.py appearance_test.py files_test.py trouble_test.py
