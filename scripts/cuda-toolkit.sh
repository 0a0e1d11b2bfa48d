# Sourced by quickstart.sh: finds the NVIDIA GPU of this machine, and what its kernels are compiled with. Nothing here
# asks for root or changes anything outside .cache/cuda. A function that fails leaves one sentence in `cuda_trouble`.
# The tests let CUDA_SYSTEM_ROOT stand for / and put programs of their own into PATH.

cuda_wheels=.cache/cuda
# One release of CUDA; 13.0 is what the kernels are tested with. The first five are nvcc and what it needs.
cuda_toolkit_packages=(nvidia-cuda-nvcc==13.0.88 nvidia-nvvm==13.0.88 nvidia-cuda-crt==13.0.88
  nvidia-cuda-runtime==13.0.96 nvidia-cuda-cccl==13.0.85)
declare -A cuda_library_package=([13]=nvidia-cublas==13.0.2.14 [12]=nvidia-cublas-cu12==12.9.1.4)
cuda_trouble=

# ask_nvidia_smi compute_cap        one line a GPU
ask_nvidia_smi() {
  PATH=$PATH:${CUDA_SYSTEM_ROOT:-}/usr/lib/wsl/lib timeout 20 nvidia-smi --query-gpu="$1" --format=csv,noheader 2>/dev/null
}

has_libcuda() {
  [ -e "${CUDA_SYSTEM_ROOT:-}/usr/lib/wsl/lib/libcuda.so.1" ] ||
    { PATH=$PATH:/sbin:/usr/sbin ldconfig -p 2>/dev/null || true; } | grep -q 'libcuda\.so\.1 '
}

# Whether there is an NVIDIA GPU with its driver. Sets gpu_names, gpu_capabilities ("8.9 9.0") and gpu_driver (580, the
# first part of its version); they stay empty where nvidia-smi is missing. A container without GPUs sees
# /proc/driver/nvidia of its host, but has no libcuda.
find_gpu() {
  local root=${CUDA_SYSTEM_ROOT:-}
  gpu_names= gpu_capabilities= gpu_driver=
  if gpu_names=$(ask_nvidia_smi name | sort -u | paste -sd,) && [ -n "$gpu_names" ]; then
    gpu_capabilities=$(ask_nvidia_smi compute_cap | grep -xE '[0-9]+\.[0-9]+' | sort -uV | paste -sd' ') || true
    gpu_driver=$(ask_nvidia_smi driver_version | sed -n '1s/^\([0-9]*\)\..*/\1/p')
    return 0
  fi
  { [ -e "$root/proc/driver/nvidia/version" ] || [ -e "$root/dev/dxg" ]; } && has_libcuda || return 1
  gpu_names="an NVIDIA GPU"
  gpu_driver=$(sed -n 's/^NVRM version:.* \([0-9]\{3,\}\)\.[0-9.]* .*/\1/p' "$root/proc/driver/nvidia/version" 2>/dev/null) || true
}

# Sets cuda_architectures to what CMake compiles for these GPUs; empty (all of them) if their kind is not known. What came
# after Hopper gets PTX, which its driver compiles.
choose_architectures() {
  local capability
  cuda_architectures=
  for capability in $gpu_capabilities; do
    case "$capability" in
      8.0 | 8.6 | 8.9 | 9.0) cuda_architectures+=";${capability/./}-real" ;;
      8.7) cuda_architectures+=";80-real" ;;
      [1-7].*) ;;
      *) cuda_architectures+=";90-virtual" ;;
    esac
  done
  cuda_architectures=${cuda_architectures#;}
  if [ -n "$gpu_capabilities" ] && [ -z "$cuda_architectures" ]; then
    cuda_trouble="$gpu_names is older than Ampere (compute capability 8.0), which the kernels need"
    return 1
  fi
}

# Whether programs of CUDA $1 (12 or 13) run with this driver; a driver of unknown version is taken to be new enough.
driver_runs_cuda() {
  case "$1" in 12) [ "${gpu_driver:-9999}" -ge 525 ] ;; 13) [ "${gpu_driver:-9999}" -ge 580 ] ;; esac
}

# Sets nvcc and nvcc_version to the first of PATH, $CUDA_HOME and /usr/local that our kernels and this driver can be served
# with; else fails, and cuda_trouble tells what was wrong with the last one that was found.
find_nvcc() {
  local root=${CUDA_SYSTEM_ROOT:-} candidate major minor
  cuda_trouble="no nvcc is installed"
  while read -r candidate; do
    [ -n "$candidate" ] && [ -x "$candidate" ] || continue
    nvcc_version=$("$candidate" --version 2>/dev/null | sed -n 's/.*release \([0-9]*\.[0-9]*\),.*/\1/p') || true
    major=${nvcc_version%.*} minor=${nvcc_version#*.}
    if [ -z "$nvcc_version" ]; then
      cuda_trouble="$candidate does not run"
    elif [ "$major" -lt 12 ] || { [ "$major" -eq 12 ] && [ "$minor" -lt 8 ]; }; then
      cuda_trouble="$candidate is of CUDA $nvcc_version, and 12.8 is needed"
    elif ! driver_runs_cuda "$major"; then
      cuda_trouble="$candidate is of CUDA $nvcc_version, for which the driver ($gpu_driver) is too old"
    else
      nvcc=$candidate cuda_trouble=
      return 0
    fi
  done < <(type -P nvcc
    echo "${CUDA_HOME:+$CUDA_HOME/bin/nvcc}"
    echo "$root/usr/local/cuda/bin/nvcc"
    printf '%s\n' "$root"/usr/local/cuda-*/bin/nvcc | sort -rV)
  return 1
}

# Python with pip, for install_wheels; its own step, because apt may ask for a password.
has_pip() { python3 -c 'import ensurepip, venv' 2>/dev/null || step_packages wheels; }

# install_wheels FOLDER PACKAGE...     into $cuda_wheels/FOLDER, which is there whole or not at all
install_wheels() {
  local folder=$cuda_wheels/$1 new=$cuda_wheels/$1.new
  shift
  [ ! -d "$folder" ] || return 0
  rm -rf "$new"
  mkdir -p "$new"
  # The environment brings pip, which Debian's python3 alone does not have; it goes away again.
  python3 -m venv "$new/venv" &&
    "$new/venv/bin/python" -m pip install -q --disable-pip-version-check --no-compile --no-deps --only-binary :all: \
      --target "$new" "$@" &&
    rm -rf "$new/venv" && mv "$new" "$folder" ||
    { rm -rf "$new"; return 1; }
}

# Sets nvcc and nvcc_version to the toolkit of $cuda_wheels, which is installed if it is not there. Some 100 MB to fetch.
install_toolkit() {
  local major=13 tools
  if ! driver_runs_cuda $major; then
    cuda_trouble="$cuda_trouble; CUDA $major from PyPI needs driver 580 (this one is $gpu_driver)"
    return 1
  fi
  if ! has_pip || ! step_fails_quietly=true step "CUDA toolkit from PyPI" install_wheels toolkit-$major "${cuda_toolkit_packages[@]}"; then
    cuda_trouble="$cuda_trouble, and the CUDA toolkit could not be installed from PyPI ($(first_error))"
    return 1
  fi
  tools=$PWD/$cuda_wheels/toolkit-$major/nvidia/cu$major
  # Names under which nvcc.profile and CMake look for what the wheels call otherwise.
  ln -sfn lib "$tools/lib64"
  ln -sfn libcudart.so.13 "$tools/lib/libcudart.so"
  nvcc=$tools/bin/nvcc nvcc_version=13.0 cuda_trouble=
}

# forget_other_nvcc FOLDER NVCC      CMake cannot change the compiler of a build folder; what is compiled stays
forget_other_nvcc() {
  local cache=$1/CMakeCache.txt
  if grep -q '^CMAKE_CUDA_COMPILER:' "$cache" 2>/dev/null && ! grep -q "^CMAKE_CUDA_COMPILER:[A-Z]*=$2\$" "$cache"; then
    rm -f "$cache" "$1"/CMakeFiles/*/CMakeCUDACompiler.cmake
  fi
}

# Puts a link to cuBLASLt of CUDA $1 beside the program $2, unless the system has one (see library_gemm.cc). Some 400 MB to fetch.
install_cublaslt() {
  local major=$1 program=$2 name=libcublasLt.so.$1 library
  if { PATH=$PATH:/sbin:/usr/sbin ldconfig -p 2>/dev/null || true; } | grep -q "$name " ||
    [ -e "${CUDA_SYSTEM_ROOT:-}/usr/local/cuda/lib64/$name" ]; then
    return 0
  fi
  has_pip && step_fails_quietly=true step "cuBLAS from PyPI" install_wheels "cublas-$major" "${cuda_library_package[$major]}" || return
  library=$(find "$PWD/$cuda_wheels/cublas-$major/nvidia" -name "$name" | head -n 1)
  [ -n "$library" ] && ln -sfn "$library" "$(dirname "$program")/$name"
}
