#!/usr/bin/env bash
# sentences_floors_test.sh PAGODA BUILD_DIR: BLEU of the bundled model on tests/data/sentences.tsv, against the floor of each
# direction in sentences_floors.json. The floors are two points under the lower of what AVX2 and the best of the machine gave,
# since other instruction sets round otherwise; after a change that is meant to change them, write them anew:
#   tests/quality/sentences_floors_test.sh build/release/src/cli/pagoda build --update
# Exit code 77: skipped.
set -euo pipefail
pagoda=$1
build=$2
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
floors=$root/tests/quality/sentences_floors.json
result=$build/sentences_floors.json
command -v jq >/dev/null || { echo "skipped: jq is not installed"; exit 77; }

# measure JSON FLAG...; --deterministic: the same kernels on every machine of an instruction set, whatever is in a batch.
measure() {
  local json=$1
  shift
  "$pagoda" eval --model "$root/models/nano" --test "$root/tests/data/sentences.tsv" --deterministic --quiet --json "$json" "$@"
}
measure "$result"
if [ "${3-}" = --update ]; then
  measure "$result.avx2" --cpu-isa avx2
  jq -s 'def floor2: . * 100 | floor / 100;
    [.[].directions] | transpose | map({(.[0].pair): ([(map(.bleu) | min) - 2, 0] | max | floor2)}) | add' \
    "$result" "$result.avx2" >"$floors"
  echo "$floors: $(jq length "$floors") floors"
  exit
fi
# Of the same directions: one that is new has no floor, one that is gone is not measured.
jq -e --slurpfile floors "$floors" '
  (.directions | map({(.pair): .bleu}) | add) as $bleu
  | [($floors[0] | to_entries[] | select($bleu[.key] == null) | "\(.key) was not measured"),
     ($bleu | to_entries[] | $floors[0][.key] as $floor | select($floor == null) | "\(.key) has no floor"),
     ($bleu | to_entries[] | $floors[0][.key] as $floor | select($floor != null and .value < $floor)
      | "\(.key) has BLEU \(.value), its floor is \($floor)")]
  | if . == [] then true else (join("\n") | halt_error(1)) end' "$result" >/dev/null
