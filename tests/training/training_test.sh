#!/usr/bin/env bash
# training_test.sh PAGODA BUILD_DIR: ruff and pytest on training/. Exit code 77: skipped.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)

# The release of PyTorch that the recipe was run with; its CPU build is enough. packed_layouts_test uses it too.
source "$root/tests/python_packages.sh"
python_with "$2/../torch_venv" "torch, transformers, pytest, ruff" 600 \
  torch==2.13.0 transformers tokenizers safetensors numpy pytest ruff==0.17.6
cd "$root"
"$python" -m ruff check --no-cache --config training/pyproject.toml training tests/training
"$python" -m ruff format --no-cache --check --config training/pyproject.toml training tests/training
# A GPU would make other paths and other bits.
CUDA_VISIBLE_DEVICES="" HF_HUB_OFFLINE=1 PAGODA=$1 PYTHONPATH=$root PYTHONDONTWRITEBYTECODE=1 \
  "$python" -m pytest -q -p no:cacheprovider --durations=5 tests/training
