#!/usr/bin/env bash
# tatoeba_bleu_test.sh PAGODA BUILD_DIR: BLEU of the bundled model and of the first nano, in BF16, on four directions, by
# `pagoda eval`, against what was measured and published. Exit code 77: skipped.
set -euo pipefail
pagoda=$1
build=$2
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
shared=${PAGODA_SHARED:-$root/../shared}
tatoeba=$shared/testsets/tatoeba
# Greedy, first 400 lines: `pagoda eval --limit 400` of models/nano, and nano-bf16's README.
bundled='{"en-fr": 46.3, "zh-en": 31.7, "en-zh": 30.9, "en-de": 38.3}'
first='{"en-fr": 45.9, "zh-en": 31.0, "en-zh": 31.0, "en-de": 37.0}'

skip() { echo "skipped: $*"; exit 77; }
[ -d "$tatoeba" ] || skip "$tatoeba is not there"
command -v jq >/dev/null || skip "jq is not installed"

# bleu EXPECTED TOLERANCE FLAG...: fails where a direction is more than the tolerance below its figure.
bleu() {
  local expected=$1 tolerance=$2
  shift 2
  "$pagoda" eval --test "$tatoeba"/en-{fr,zh,de}.tsv --directions "$(jq -r 'keys | join(",")' <<<"$expected")" --limit 400 \
    --json "$build/tatoeba_bleu.json" --quiet "$@"
  jq -e --argjson expected "$expected" --argjson tolerance "$tolerance" '
    [.directions[] | select(.bleu < $expected[.pair] - $tolerance) | "\(.pair) has \(.bleu), expected \($expected[.pair])"]
    | if . == [] then true else (join("\n") | halt_error(1)) end' "$build/tatoeba_bleu.json" >/dev/null
}
# Kernels of other instruction sets round otherwise.
bleu "$bundled" 0.8 --model "$root/models/nano"
if [ -d "$shared/nano-bf16" ]; then
  # Rounding of activations moves single directions by 0.2 either way: transformers itself gives 45.7 in FP32 and 45.5 in
  # BF16 for en-fr. Float activations stay within 0.3. BF16 ones, where the CPU has them, are held to as much as other
  # instruction sets above: with AMX en-zh is 0.33 lower than with float ones, and which rows share a tile depends on the batch.
  bleu "$first" 0.8 --model "$shared/nano-bf16"
  bleu "$first" 0.3 --model "$shared/nano-bf16" --cpu-isa avx2
fi
