#!/usr/bin/env bash
# Which GPUs and which nvcc scripts/cuda-toolkit.sh takes, on machines that a folder and a PATH stand for.
#   scripts_cuda_toolkit_test.sh SOURCE_FOLDER
set -uo pipefail
source_folder=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
source "$source_folder/scripts/steps.sh"
source "$source_folder/scripts/cuda-toolkit.sh"
log=$work/log
failures=0
test_path=$PATH
expect() {  # WHAT WANTED GOT
  [ "$2" = "$3" ] || { echo "FAILED $1: wanted '$2', got '$3'"; failures=$((failures + 1)); }
}
outcome() { if "$@"; then echo yes; else echo no; fi; }

# A machine without anything of NVIDIA: the programs of this one, less those that are asked here.
new_machine() {
  PATH=$test_path
  rm -rf "$work/machine"
  mkdir -p "$work/machine/bin" "$work/machine/dev" "$work/machine/usr/lib/wsl/lib"
  export CUDA_SYSTEM_ROOT=$work/machine
  unset CUDA_HOME
  local tool
  for tool in sh grep sed sort paste timeout mkdir rm touch chmod; do
    ln -s "$(type -P "$tool")" "$work/machine/bin/$tool"
  done
  program "$work/machine/bin/ldconfig" 'echo "  libc.so.6 (libc6,x86-64) => /lib/libc.so.6"'
  PATH=$work/machine/bin
  hash -r
}
program() { mkdir -p "${1%/*}"; printf '#!/bin/sh\n%s\n' "$2" >"$1"; chmod +x "$1"; }
add_smi() {  # PATH NAME CAPABILITY DRIVER
  program "$1" "case \"\$*\" in *=name*) printf '$2\n';; *=compute_cap*) printf '$3\n';; *=driver_version*) printf '$4\n';; esac"
}
add_nvcc() { program "$1" "echo 'Cuda compilation tools, release $2, V$2.88'"; }
# `find_gpu; choose_architectures` sets variables, so neither runs in a subshell.
gpu_is() {
  local found=no
  find_gpu && found=yes
  expect "$1: found" "$2" "$found"
}

new_machine
gpu_is "no driver" no

new_machine
program "$work/machine/bin/nvidia-smi" 'echo "NVIDIA-SMI has failed because it could not communicate with the driver" ; exit 9'
gpu_is "nvidia-smi without a driver" no

new_machine
add_smi "$work/machine/bin/nvidia-smi" 'NVIDIA L40S\nNVIDIA H200\nNVIDIA L40S' '8.9\n9.0\n8.9' '580.95.05\n580.95.05\n580.95.05'
gpu_is "two kinds" yes
expect "their names" "NVIDIA H200,NVIDIA L40S" "$gpu_names"
expect "their driver" 580 "$gpu_driver"
choose_architectures
expect "their architectures" "89-real;90-real" "$cuda_architectures"

new_machine
add_smi "$work/machine/usr/lib/wsl/lib/nvidia-smi" 'NVIDIA GeForce RTX 5090' 12.0 581.29
gpu_is "WSL, where PATH lacks nvidia-smi" yes
choose_architectures
expect "newer than Hopper: PTX" "90-virtual" "$cuda_architectures"

new_machine
add_smi "$work/machine/bin/nvidia-smi" 'Tesla T4' 7.5 580.10.01
gpu_is "Turing" yes
expect "Turing is refused" no "$(outcome choose_architectures)"
choose_architectures
expect "and why" "Tesla T4 is older than Ampere (compute capability 8.0), which the kernels need" "$cuda_trouble"

new_machine
mkdir -p "$work/machine/proc/driver/nvidia"
echo "NVRM version: NVIDIA UNIX x86_64 Kernel Module  570.124.06  Wed Feb 26 01:58:33 UTC 2025" \
  >"$work/machine/proc/driver/nvidia/version"
gpu_is "a container that was given no GPU" no
program "$work/machine/bin/ldconfig" 'echo "	libcuda.so.1 (libc6,x86-64) => /usr/lib/libcuda.so.1"'
gpu_is "a driver without nvidia-smi" yes
expect "its version" 570 "$gpu_driver"
choose_architectures
expect "all architectures" "" "$cuda_architectures"
expect "an open kernel module" 580 "$(echo 'NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release Build' \
  >"$work/machine/proc/driver/nvidia/version"; find_gpu; echo "$gpu_driver")"

new_machine
touch "$work/machine/dev/dxg"
gpu_is "WSL without an NVIDIA GPU" no
touch "$work/machine/usr/lib/wsl/lib/libcuda.so.1"
gpu_is "WSL" yes
expect "WSL's driver is not known" "" "$gpu_driver"

new_machine
gpu_driver=580
expect "no nvcc" no "$(outcome find_nvcc)"
expect "no nvcc: why" "no nvcc is installed" "$(find_nvcc; echo "$cuda_trouble")"
add_nvcc "$work/machine/bin/nvcc" 11.8
expect "old nvcc: why" "$work/machine/bin/nvcc is of CUDA 11.8, and 12.8 is needed" "$(find_nvcc; echo "$cuda_trouble")"
for version in 12.0 12.7; do
  add_nvcc "$work/machine/bin/nvcc" "$version"
  expect "nvcc $version" no "$(outcome find_nvcc)"
done
add_nvcc "$work/machine/usr/local/cuda-12.8/bin/nvcc" 12.8
find_nvcc
expect "the next one that is new enough" "$work/machine/usr/local/cuda-12.8/bin/nvcc 12.8" "$nvcc $nvcc_version"
add_nvcc "$work/machine/usr/local/cuda-13.0/bin/nvcc" 13.0
find_nvcc
expect "the newest" 13.0 "$nvcc_version"
gpu_driver=570
find_nvcc
expect "one that the driver runs" 12.8 "$nvcc_version"
expect "wheels need a newer driver" no "$(outcome install_toolkit)"
gpu_driver=
export CUDA_HOME=$work/home
add_nvcc "$work/home/bin/nvcc" 12.9
find_nvcc
expect "CUDA_HOME comes before /usr/local" "$work/home/bin/nvcc" "$nvcc"
add_nvcc "$work/machine/bin/nvcc" 13.1
find_nvcc
expect "PATH comes first" "$work/machine/bin/nvcc" "$nvcc"

mkdir -p "$work/build/CMakeFiles/3.25.1"
cached() { echo "CMAKE_CUDA_COMPILER:FILEPATH=$1" >"$work/build/CMakeCache.txt"; }
cached /a/nvcc
forget_other_nvcc "$work/build" /a/nvcc
expect "the same compiler keeps the cache" yes "$(outcome test -e "$work/build/CMakeCache.txt")"
forget_other_nvcc "$work/build" /b/nvcc
expect "another one does not" no "$(outcome test -e "$work/build/CMakeCache.txt")"

PATH=$test_path
[ $failures -eq 0 ] && echo "all as expected"
exit $((failures > 0))
