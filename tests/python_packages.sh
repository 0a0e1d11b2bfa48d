# Sourced by tests that need packages of PyPI: an environment that has them, made when it is first needed. Sets `python`;
# ends the script as skipped (exit code 77), with the reason, where they cannot be installed.
#   python_with FOLDER "MODULE, MODULE" SECONDS PACKAGE...

skip() {
  echo "skipped: $*"
  exit 77
}

python_with() {
  local folder=$1 modules=$2 seconds=$3
  shift 3
  python=$folder/bin/python
  if "$python" -c "import $modules" 2>/dev/null; then return; fi
  mkdir -p "$(dirname "$folder")"
  python3 -m venv "$folder" 2>/dev/null || skip "python3-venv is not installed"
  # Most of what comes with a package is never imported, so it is not compiled beforehand.
  timeout "$seconds" "$python" -m pip install -q --no-compile --disable-pip-version-check "$@" >"$folder.log" 2>&1 ||
    skip "$* cannot be installed from PyPI ($(tail -n 1 "$folder.log"))"
}
