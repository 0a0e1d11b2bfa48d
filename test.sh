#!/usr/bin/env bash
# Builds and runs the tests. Its last lines are ctest's, its exit code is ctest's.
#   ./test.sh                          the release build, everything
#   ./test.sh --asan --tsan            the runs that are named, in that order (--release too)
#   ./test.sh --fuzz 60                every fuzzer for 60 seconds
#   ./test.sh --asan --label 'unit|simulate'     only tests of these labels (a regex of ctest -L)
#   ./test.sh --jobs 4                 tests at a time (default 2)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

runs=()
fuzz_seconds=
label=()
jobs=2
usage="usage: ./test.sh [--release|--asan|--tsan|--fuzz SECONDS]... [--label REGEX] [--jobs N]"
while [ $# -gt 0 ]; do
  case "$1" in
    --release | --asan | --tsan) runs+=("${1#--}") ;;
    --fuzz | --label | --jobs)
      [ $# -ge 2 ] || { echo "$1 needs a value; $usage" >&2; exit 2; }
      case "$1" in
        --fuzz) runs+=(fuzz); fuzz_seconds=$2 ;;
        --label) label=(-L "$2") ;;
        --jobs) jobs=$2 ;;
      esac
      shift
      ;;
    -h | --help) echo "$usage"; exit 0 ;;
    *) echo "unknown argument '$1'; $usage" >&2; exit 2 ;;
  esac
  shift
done
[ ${#runs[@]} -gt 0 ] || runs=(release)

mkdir -p build
log=build/test.log
: >"$log"
source scripts/steps.sh

groups=(build test)
for run in "${runs[@]}"; do if [ "$run" = fuzz ]; then groups+=(fuzz); fi; done
echo "Pagoda's tests: ${runs[*]} (build output in $log)"
step_packages "${groups[@]}"

# The thread sanitizer of gcc 12 stops at start where the kernel randomises more address bits than it knows.
fixed_addresses() {
  if setarch "$(uname -m)" -R true 2>/dev/null; then setarch "$(uname -m)" -R "$@"; else "$@"; fi
}

# The targets that the chosen tests need: those of their names, and the program for a test that is a script.
test_targets() {
  local run=$1 known name
  known=$(cmake --build --preset "$run" --target help) || return $?
  for name in $(ctest --preset "$run" "${label[@]}" -N | sed -n 's/^ *Test *#[0-9]*: //p'); do
    if grep -q "^$name: " <<<"$known"; then echo "$name"; else echo pagoda; fi
  done | sort -u
}

summaries=()
exit_code=0
# ctest's line goes into `summaries`, the first exit code that is not 0 into exit_code.
run_tests() {
  local run=$1 code=0
  local wrapper=()
  if [ "$run" = tsan ]; then wrapper=(fixed_addresses); fi
  step "configuring $run" cmake --preset "$run" -DPAGODA_TESTS=ON || return $?
  local targets=()
  if [ ${#label[@]} -gt 0 ]; then
    mapfile -t targets < <(test_targets "$run")
    [ ${#targets[@]} -gt 0 ] || { echo "no test has a label that matches '${label[1]}'" >&2; return 1; }
    targets=(--target "${targets[@]}")
  fi
  step "building $run" cmake --build --preset "$run" "${targets[@]}" || return $?
  if [ "$run" = release ]; then
    # Each header must compile alone; once is enough, sanitizers change nothing there.
    step "checking headers" cmake --build --preset "$run" --target check_headers || return $?
  fi
  local out=build/$run/ctest.log
  "${wrapper[@]}" ctest --preset "$run" -j "$jobs" "${label[@]}" --no-tests=error 2>&1 | tee "$out" || code=$?
  summaries+=("$run: $(grep -E '^[0-9]+% tests passed' "$out" || echo 'ctest did not finish')")
  return "$code"
}

run_fuzzers() {
  local code=0
  tests/fuzz/run.sh "$fuzz_seconds" 2>&1 | tee build/fuzz.log || code=$?
  summaries+=("fuzz: $(grep -c ': clean, ' build/fuzz.log || true) fuzzers clean, $fuzz_seconds s each, exit code $code")
  return "$code"
}

for run in "${runs[@]}"; do
  code=0
  if [ "$run" = fuzz ]; then run_fuzzers || code=$?; else run_tests "$run" || code=$?; fi
  if [ "$exit_code" -eq 0 ]; then exit_code=$code; fi
done
# With one run ctest has just said it.
if [ ${#runs[@]} -gt 1 ]; then printf '%s\n' "${summaries[@]}"; fi
exit "$exit_code"
