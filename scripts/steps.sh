# Sourced by quickstart.sh and test.sh: runs one step, shows one line for it, keeps its output in $log.
# Expects: log (path of the log file).

step_pid=
# A background job of a script ignores Ctrl-C, so the interrupt is passed on by hand.
trap '[ -z "$step_pid" ] || kill -TERM "$step_pid" 2>/dev/null; echo; exit 130' INT
trap '[ -z "$step_pid" ] || kill -TERM "$step_pid" 2>/dev/null; exit 143' TERM

# What ninja says last, e.g. [12/80]; empty for other tools.
step_progress() { tail -c 2000 "$log" | tr '\r' '\n' | grep -oE '^\[[0-9]+/[0-9]+\]' | tail -n 1; }

# The end of the log, with the lines that look like the cause first when the end does not show them.
show_log() {
  echo "--- $log (errors first, then its end)"
  grep -nE '(error|Error|ERROR|FAILED|undefined reference)' "$log" | tail -n 15 || true
  echo "---"
  tail -n 25 "$log"
}

# The first line of the last step's output that tells an error; CMake's own stand a line below their heading.
first_error() {
  tac "$log" | sed '/^== /q' | tac | sed -e 1d -e '/^CMake Error at/{N;s/.*\n/error:/}' |
    grep -m 1 -iE '(^|[^a-z])(error|fatal)' | sed -E 's/^(error:)? *//' | cut -c 1-200 || echo "see $log"
}

#   step "building" cmake --build ...        returns the exit code of the command, after showing the log if it failed
# step_fails_quietly=true leaves the log out, where the caller goes on without what failed.
step() {
  local label=$1 started=$SECONDS code=0
  shift
  printf '\n== %s: %s\n' "$label" "$*" >>"$log"
  "$@" >>"$log" 2>&1 </dev/null &
  step_pid=$!
  while kill -0 "$step_pid" 2>/dev/null; do
    if [ -t 1 ]; then printf '\r  %-36s %4d s  %s ' "$label" $((SECONDS - started)) "$(step_progress)"; fi
    sleep 0.2
  done
  wait "$step_pid" || code=$?
  step_pid=
  if [ -t 1 ]; then printf '\r\033[K'; fi
  if [ $code -eq 0 ]; then
    printf '  %-36s %4d s\n' "$label" $((SECONDS - started))
    return 0
  fi
  printf '  %-36s %4d s  FAILED (exit code %d)\n' "$label" $((SECONDS - started)) "$code"
  ${step_fails_quietly:-false} || show_log
  return "$code"
}

# Packages run in the foreground: sudo may ask for a password.
#   step_packages build test
step_packages() {
  local started=$SECONDS
  printf '\n== packages: %s\n' "$*" >>"$log"
  if ! scripts/install-packages.sh "$@" >>"$log" 2>&1; then
    printf '  %-36s %4d s  FAILED\n' "packages" $((SECONDS - started))
    tail -n 25 "$log"
    return 1
  fi
  printf '  %-36s %4d s\n' "packages" $((SECONDS - started))
}
