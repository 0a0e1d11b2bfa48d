#!/usr/bin/env bash
# tatoeba_bleu_test.sh PAGODA BUILD_DIR: BLEU of the bundled model and of its BF16 original on four directions, against the
# original's published figures. Exit code 77: skipped.
set -euo pipefail
pagoda=$1
build=$2
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
shared=${PAGODA_SHARED:-$root/../shared}

skip() { echo "skipped: $*"; exit 77; }
[ -d "$shared/testsets/tatoeba" ] || skip "$shared/testsets/tatoeba is not there"
python=$build/venv/bin/python
if ! "$python" -c 'import sacrebleu' 2>/dev/null; then
  python3 -m venv "$build/venv" 2>/dev/null || skip "python3-venv is not installed"
  timeout 120 "$python" -m pip install -q --disable-pip-version-check sacrebleu >"$build/pip.log" 2>&1 ||
    skip "sacrebleu cannot be installed from PyPI ($(tail -n 1 "$build/pip.log"))"
fi

bleu() { "$python" "$root/bench/quality/tatoeba_bleu.py" --pagoda "$pagoda" --testsets "$shared/testsets/tatoeba" --expect "$@"; }
# The bundled INT8 copy may lose 0.3 beside the 0.3 that the original may differ on another machine.
echo "models/nano (INT8)"
bleu --model "$root/models/nano" --tolerance 0.6
if [ -d "$shared/nano-bf16" ]; then
  # Rounding of activations moves single directions by 0.2 either way: transformers itself gives 45.7 in FP32 and 45.5 in
  # BF16 for en-fr. Float activations stay within 0.3; BF16 ones are held to 0.45.
  echo "nano-bf16, BF16 activations where the CPU has them"
  bleu --model "$shared/nano-bf16" --tolerance 0.45
  echo "nano-bf16, float activations"
  bleu --model "$shared/nano-bf16" --tolerance 0.3 --cpu-isa avx2
fi
