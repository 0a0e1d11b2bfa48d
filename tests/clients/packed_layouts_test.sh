#!/usr/bin/env bash
# packed_layouts_test.sh PAGODA DEQUANTISE BUILD_DIR: quantised directories of ours read by others, and theirs by us. Others:
# a reader and writer in numpy, from the published descriptions of GPTQ's and AWQ's layouts; and, where PyTorch can be had,
# the package compressed-tensors and AutoAWQ's own unpacking. Exit code 77: skipped.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
pagoda=$1
dequantise=$2
build=$3

source "$here/../python_packages.sh"
python_with "$build/../torch_venv" "numpy, safetensors" 180 numpy safetensors  # training_test's, where that has run
log=$build/packed_layouts_pip.log
# AutoAWQ's unpacking needs nothing but PyTorch; the package as a whole would want a GPU.
source=$build/packed_layouts_autoawq
if ! [ -f "$source/packing_utils.py" ]; then
  mkdir -p "$source"
  if "$python" -c 'import torch' 2>/dev/null ||
    timeout 600 "$python" -m pip install -q --no-compile --disable-pip-version-check torch==2.13.0 >>"$log" 2>&1; then
    timeout 120 "$python" -m pip download -q --no-deps --no-build-isolation --no-binary :all: -d "$source" autoawq==0.2.9 \
      >>"$log" 2>&1 || true
    tar -xzf "$source"/autoawq-*.tar.gz -C "$source" --strip-components=3 --wildcards '*/awq/utils/packing_utils.py' \
      2>>"$log" || true
  fi
fi
if "$python" -c 'import torch' 2>/dev/null && ! "$python" -c 'import compressed_tensors' 2>/dev/null; then
  timeout 300 "$python" -m pip install -q --no-compile --disable-pip-version-check compressed-tensors==0.20.0 >>"$log" 2>&1 || true
fi
work=$build/packed_layouts
rm -rf "$work"
mkdir -p "$work"
"$python" "$here/packed_layouts_test.py" "$pagoda" "$dequantise" "$work" "$here/../data/models/hy-7b-like" "$source"
