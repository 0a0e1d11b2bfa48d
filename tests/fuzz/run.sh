#!/bin/sh
# Builds the preset `fuzz` and runs each fuzzer for SECONDS (or only those named after it); fails on a finding.
# New inputs go to build/fuzz/inputs/NAME, the input of a finding to build/fuzz/findings/NAME-*.
#   tests/fuzz/run.sh 60 [NAME...]
set -eu
seconds=${1:?usage: tests/fuzz/run.sh SECONDS [NAME...]}
shift
cd "$(dirname "$0")/../.."
fuzz=tests/fuzz
if [ $# -eq 0 ]; then
  set -- $(sed -n 's/^pagoda_fuzzer(\([a-z0-9_]*\).*/\1/p' $fuzz/CMakeLists.txt)
fi

cmake --preset fuzz > /dev/null
targets=
for name in "$@"; do targets="$targets fuzz_$name"; done
cmake --build --preset fuzz -j "${JOBS:-2}" --target $targets

mkdir -p build/fuzz/findings
failed=
for name in "$@"; do
  work=build/fuzz/inputs/$name
  log=$work.log
  mkdir -p "$work"
  dictionary=
  if [ -f "$fuzz/corpus/$name.dict" ]; then dictionary=-dict=$fuzz/corpus/$name.dict; fi
  if "build/fuzz/$fuzz/fuzz_$name" $dictionary -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
      -print_final_stats=1 -artifact_prefix="build/fuzz/findings/$name-" "$work" "$fuzz/corpus/$name" > "$log" 2>&1
  then
    echo "$name: clean, $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") runs"
  else
    failed="$failed $name"
    tail -n 40 "$log"
  fi
done
if [ -n "$failed" ]; then
  echo "findings in:$failed (see build/fuzz/findings)" >&2
  exit 1
fi
