#!/usr/bin/env bash
# packed_layouts_test.sh PAGODA DEQUANTISE BUILD_DIR: directories that `pagoda quantize` writes, dequantised by others, and
# layers that others write, read by us. Always: a reader and writer in numpy, from the published descriptions. Where they can
# be had: the package compressed-tensors (FP8, INT8, its own layouts), with transformers that opens the FP8 directory; the
# layer of AutoGPTQ and that of AutoAWQ, a few files of packages that as a whole want a GPU. GPTQModel, which follows both,
# asks for a newer PyTorch than the tests have. `pagoda-int8` and INT8 tables beside INT4 are read by nobody else; what is
# compared there is the tensors, which are those of compressed-tensors' int-quantized. Exit code 77: skipped.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
pagoda=$1
dequantise=$2
build=$3

source "$here/../python_packages.sh"
python_with "$build/../torch_venv" "numpy, safetensors" 180 numpy safetensors  # training_test's, where that has run
log=$build/packed_layouts_pip.log
: >"$log"
pip() { # SECONDS ARGUMENT...
  timeout "$1" "$python" -m pip "${@:2}" -q --disable-pip-version-check >>"$log" 2>&1
}
has() { "$python" -c "import $1" 2>/dev/null; }

sources=$build/packed_layouts_sources
mkdir -p "$sources"
if has torch || pip 600 install --no-compile torch==2.13.0; then
  has compressed_tensors || pip 300 install --no-compile compressed-tensors==0.20.0 || true
  if ! [ -f "$sources/qlinear_cuda.py" ]; then
    # A wheel for Linux and Python 3.11, whatever runs here: only one file of plain Python is taken out.
    pip 180 download --no-deps --only-binary :all: --python-version 3.11 --platform manylinux2014_x86_64 -d "$sources" \
      auto-gptq==0.7.1 || true
    "$python" -c 'import sys, zipfile; print(zipfile.ZipFile(sys.argv[1]).read(sys.argv[2]).decode(), end="")' \
      "$sources"/auto_gptq-*.whl auto_gptq/nn_modules/qlinear/qlinear_cuda.py >"$sources/part" 2>>"$log" &&
      mv "$sources/part" "$sources/qlinear_cuda.py" || true
  fi
  if ! [ -f "$sources/awq/modules/linear/gemm.py" ]; then
    pip 120 download --no-deps --no-build-isolation --no-binary :all: -d "$sources" autoawq==0.2.9 || true
    tar -xzf "$sources"/autoawq-*.tar.gz -C "$sources" --strip-components=1 --wildcards '*/awq/utils/packing_utils.py' \
      '*/awq/utils/module.py' '*/awq/modules/linear/gemm.py' 2>>"$log" || true
  fi
  rm -f "$sources"/*.whl "$sources"/*.tar.gz
fi
work=$build/packed_layouts
rm -rf "$work"
mkdir -p "$work"
"$python" "$here/packed_layouts_test.py" "$pagoda" "$dequantise" "$work" "$here/../../models/nano/tokenizer.json" "$sources"
rm -rf "$work"
