#!/usr/bin/env bash
# page_test.sh PAGODA BUILD_DIR [PYTEST_FLAG]...: the page in Chromium, against `PAGODA serve` and against a server that
# misbehaves on demand. Exit code 77: skipped.
set -euo pipefail
pagoda=$(realpath "$1")
mkdir -p "$2"
build=$(realpath "$2")
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

source "$here/../python_packages.sh"
command -v chromium >/dev/null && command -v chromedriver >/dev/null ||
  skip "chromium and chromedriver are not installed (scripts/install-packages.sh page)"
python_with "$build/venv" "aiohttp, pytest, pytest_rerunfailures, selenium" 180 aiohttp pytest pytest-rerunfailures selenium
cd "$here"
# A browser on a busy machine is late now and then: what fails twice more has failed.
exec "$python" -m pytest -q -rA --reruns 2 -p no:cacheprovider --pagoda "$pagoda" "${@:3}" page_test.py appearance_test.py files_test.py trouble_test.py
