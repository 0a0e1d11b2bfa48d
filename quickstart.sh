#!/usr/bin/env bash
# From a fresh clone to a translation server: packages, build, start. With the GPU kernels where there is an NVIDIA GPU.
#   ./quickstart.sh [--port 8080] [--host 127.0.0.1] [--model DIR] [--no-gpu] [--no-serve]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

port=8080
host=127.0.0.1
model=models/nano
gpu=true
serve=true
usage="usage: ./quickstart.sh [--port 8080] [--host 127.0.0.1] [--model DIR] [--no-gpu] [--no-serve]
  --no-gpu     builds no GPU kernels, even if there is an NVIDIA GPU
  --no-serve   ends after the build"
while [ $# -gt 0 ]; do
  case "$1" in
    --port | --host | --model)
      [ $# -ge 2 ] || { echo "$1 needs a value; $usage" >&2; exit 2; }
      declare "${1#--}=$2"
      shift
      ;;
    --no-gpu) gpu=false ;;
    --no-serve) serve=false ;;
    -h | --help) echo "$usage"; exit 0 ;;
    *) echo "unknown argument '$1'; $usage" >&2; exit 2 ;;
  esac
  shift
done
if ! [[ "$port" =~ ^[1-9][0-9]{0,4}$ ]] || [ "$port" -gt 65535 ]; then
  echo "--port $port is not a port (1 to 65535)" >&2
  exit 2
fi
# What a client on this machine connects to.
reach=$host
if [ "$host" = 0.0.0.0 ]; then reach=127.0.0.1; fi

port_taken() { (exec 3<>"/dev/tcp/$reach/$port") 2>/dev/null; }
fail_port_taken() {
  echo "port $port on $host is taken by another program; choose another one: ./quickstart.sh --port $((port % 65535 + 1))" >&2
  exit 1
}
# Both are asked before the build, so that nobody waits for minutes to learn of them.
if [ ! -f "$model/config.json" ]; then
  echo "no model in '$model': a directory with config.json, tokenizer.json and safetensors is needed (--model DIR)" >&2
  exit 1
fi
if $serve && port_taken; then fail_port_taken; fi

mkdir -p build
log=build/quickstart.log
: >"$log"
source scripts/steps.sh
source scripts/cuda-toolkit.sh
pagoda=build/release/src/cli/pagoda

#   build [CMAKE OPTION]...        with the same folder and files either way: the option adds the CUDA files
build() {
  step "configuring" cmake --preset release -DPAGODA_TESTS=OFF "$@" &&
    step "building (minutes the first time)" cmake --build --preset release --target pagoda
}

build_for_gpu() {
  choose_architectures || return
  find_nvcc || install_toolkit || return
  echo "  GPU: $gpu_names; CUDA $nvcc_version ($nvcc)"
  printf '\n== GPU: %s (%s), driver %s, %s\n' "$gpu_names" "$gpu_capabilities" "$gpu_driver" "$nvcc" >>"$log"
  forget_other_nvcc build/release "$nvcc"
  if ! step_fails_quietly=true build -DPAGODA_CUDA=ON -DCMAKE_CUDA_COMPILER="$nvcc" \
    -DCMAKE_CUDA_ARCHITECTURES="$cuda_architectures"; then
    cuda_trouble="the build with $nvcc failed ($(first_error))"
    return 1
  fi
  install_cublaslt "${nvcc_version%.*}" "$pagoda" ||
    echo "  cuBLAS cannot be had: our own kernels do the large matrix products, slower"
}

echo "Pagoda: packages, build, start (details in $log)"
step_packages build
if ! $gpu || ! find_gpu; then
  build -DPAGODA_CUDA=OFF
elif ! build_for_gpu; then
  echo "  the GPU is not used: $cuda_trouble"
  build -DPAGODA_CUDA=OFF
fi

if ! $serve; then
  echo "built. To serve: $pagoda serve --model $model --host $host --port $port"
  exit 0
fi

started=$SECONDS
# In a session of its own, so that Ctrl-C reaches the server once, as the SIGTERM below, and it can drain.
setsid "$pagoda" serve --model "$model" --host "$host" --port "$port" </dev/null &
server=$!
stop_server() {
  trap - INT TERM HUP EXIT
  kill -TERM "$server" 2>/dev/null || true
  wait "$server" 2>/dev/null || true
}
trap 'echo; echo "stopping"; stop_server; echo "stopped"; exit 0' INT TERM HUP
trap stop_server EXIT

until curl -sf --noproxy '*' -o /dev/null --max-time 2 "http://$reach:$port/health"; do
  if ! kill -0 "$server" 2>/dev/null; then
    trap - EXIT
    code=0
    wait "$server" || code=$?
    if port_taken; then fail_port_taken; fi
    echo "the server ended with exit code $code before it was ready; its last lines are above" >&2
    exit 1
  fi
  if [ $((SECONDS - started)) -ge 300 ]; then
    echo "the server did not answer http://$reach:$port/health within 300 s" >&2
    exit 1
  fi
  sleep 0.1
done
printf '  %-36s %4d s\n' "starting" $((SECONDS - started))

cat <<TEXT

Pagoda is ready: open http://$reach:$port in a browser   (Ctrl-C stops it)

  curl -s http://$reach:$port/generate -d '{"prompt": "将以下文本翻译为法语，注意只需要输出翻译后的结果，不要额外解释：\n\n今天天气很好", "max_tokens": 64}'

Without a server:

  $pagoda translate --model $model --to fr "今天天气很好"

TEXT
code=0
wait "$server" || code=$?
trap - EXIT
echo "the server ended by itself with exit code $code" >&2
exit "$code"
