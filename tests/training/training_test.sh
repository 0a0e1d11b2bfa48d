#!/usr/bin/env bash
# training_test.sh PAGODA BUILD_DIR: ruff and pytest on training/. Exit code 77: skipped.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)

skip() { echo "skipped: $*"; exit 77; }
python=$2/venv/bin/python
if ! "$python" -c 'import torch, transformers, pytest, ruff' 2>/dev/null; then
  python3 -m venv "$2/venv" 2>/dev/null || skip "python3-venv is not installed"
  # The release of PyTorch that the recipe was run with; its CPU build is enough.
  timeout 600 "$python" -m pip install -q --disable-pip-version-check \
    torch==2.13.0 transformers tokenizers safetensors numpy pytest ruff==0.17.6 >"$2/pip.log" 2>&1 ||
    skip "PyTorch 2.13.0 or what goes with it cannot be installed from PyPI ($(tail -n 1 "$2/pip.log"))"
fi
cd "$root"
"$python" -m ruff check --no-cache --config training/pyproject.toml training tests/training
"$python" -m ruff format --no-cache --check --config training/pyproject.toml training tests/training
# A GPU would make other paths and other bits.
CUDA_VISIBLE_DEVICES="" HF_HUB_OFFLINE=1 PAGODA=$1 PYTHONPATH=$root PYTHONDONTWRITEBYTECODE=1 \
  "$python" -m pytest -q -p no:cacheprovider --durations=5 tests/training
