#!/usr/bin/env bash
# Times Pagoda and llama.cpp on the same machine, in the same model shape, with the same threads, in alternating rounds.
# bench/README.md says what is measured; --help lists the options. Everything it fetches or builds (source, build tree,
# virtual environment, GGUF files of several GB) lies in ${PAGODA_CACHE:-$HOME/.cache/pagoda}/peers, outside the tree.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
repository=$(cd "$here/../.." && pwd)
cache=${PAGODA_CACHE:-$HOME/.cache/pagoda}/peers
pagoda=${PAGODA_BIN:-$repository/build/release/src/cli/pagoda}
# Pinned so that results of different days compare; the sdist carries its own copy of llama.cpp.
package_version=${LLAMA_CPP_PYTHON_VERSION:-0.3.36}

shape=1.8b format=bf16 our_format='' tests=pp512,tg128 batches=1,8,32 rounds=3
threads=$(nproc) json='' peer_only='' quantised=''
# Every sequence of a batch has a prompt of this many tokens before its decoding is timed.
batch_prompt=128

usage() {
  cat <<'TEXT'
bench/peers/llama_cpp.sh [options]
  --shape 1.8b|7b            model shape (1.8b)
  --format NAME              weights on llama.cpp's side: bf16, q8_0, q4_0 or q4_k_m; and on ours unless
                             --our-format is given (bf16)
  --our-format NAME          what `pagoda bench --format` gets, e.g. int8 beside q8_0
  --quantised                instead of --format: our INT4 beside the better of q4_0 and q4_k_m, our INT8 beside q8_0
  --tests pp512,tg128        ppN: N prompt tokens; tgN: N generated tokens
  --batches 1,8,32           sequences that decode together in the tg tests
  --threads N                for both sides (all processors)
  --rounds N                 each round runs both sides once; medians are reported (3)
  --json                     one JSON object a row instead of the table
  --peer-only                leave our side out
  --clean                    delete the GGUF files and exit
Environment: PAGODA_BIN (our program), PAGODA_CACHE, LLAMA_CPP_PYTHON_VERSION.
TEXT
}

fail() { echo "llama_cpp.sh: $*" >&2; exit 1; }
note() { echo "llama_cpp.sh: $*" >&2; }

while (($#)); do
  case $1 in
    --json) json=--json; shift; continue ;;
    --peer-only) peer_only=1; shift; continue ;;
    --quantised) quantised=1; shift; continue ;;
    --clean) rm -f "$cache"/*.gguf "$cache"/*.partial; exit 0 ;;
    -h | --help) usage; exit 0 ;;
    --shape | --format | --our-format | --tests | --batches | --threads | --rounds)
      (($# > 1)) || fail "$1 needs a value"
      name=${1#--}; printf -v "${name//-/_}" '%s' "$2"; shift 2 ;;
    *) usage >&2; fail "unknown option '$1'" ;;
  esac
done

[[ $shape =~ ^(1\.8b|7b)$ ]] || fail "--shape is 1.8b or 7b, not '$shape'"
[[ $format =~ ^(bf16|q8_0|q4_0|q4_k_m)$ ]] || fail "--format is bf16, q8_0, q4_0 or q4_k_m, not '$format'"
[[ $tests =~ ^(pp|tg)[1-9][0-9]*(,(pp|tg)[1-9][0-9]*)*$ ]] || fail "--tests is a list like pp512,tg128, not '$tests'"
[[ $batches =~ ^[1-9][0-9]*(,[1-9][0-9]*)*$ ]] || fail "--batches is a list like 1,8,32, not '$batches'"
[[ $threads =~ ^[1-9][0-9]*$ && $rounds =~ ^[1-9][0-9]*$ ]] || fail "--threads and --rounds are positive numbers"
[[ -n $peer_only || -x $pagoda ]] || fail "no program at $pagoda: build it, set PAGODA_BIN, or give --peer-only"

check_tools() {
  local missing=()
  command -v cmake >/dev/null || missing+=(cmake)
  command -v c++ >/dev/null || missing+=(g++)
  command -v ninja >/dev/null || missing+=(ninja-build)
  command -v python3 >/dev/null || missing+=(python3)
  python3 -c 'import venv, ensurepip' 2>/dev/null || missing+=(python3-venv)
  ((${#missing[@]} == 0)) || fail "missing Debian packages: ${missing[*]} (apt-get install ${missing[*]})"
}

python_environment() {
  [[ -e $cache/venv/complete ]] && return
  note "creating a Python environment with gguf"
  python3 -m venv --clear "$cache/venv"
  "$cache/venv/bin/pip" install --quiet --disable-pip-version-check gguf numpy
  touch "$cache/venv/complete"
}

source_dir=$cache/llama_cpp_python-$package_version
build_dir=$cache/build-$package_version

fetch_source() {
  [[ -e $source_dir/complete ]] && return
  note "fetching the source of llama-cpp-python $package_version"
  # Only this package is wanted as source; `--no-binary :all:` would also compile its build tools.
  "$cache/venv/bin/pip" download --quiet --disable-pip-version-check --no-binary llama-cpp-python --no-deps \
    --dest "$cache/sdist" "llama-cpp-python==$package_version"
  rm -rf "$source_dir"
  tar xzf "$cache/sdist/llama_cpp_python-$package_version.tar.gz" -C "$cache"
  [[ -e $source_dir/vendor/llama.cpp/CMakeLists.txt ]] || fail "no vendor/llama.cpp in that package"
  touch "$source_dir/complete"
}

build_peer() {
  [[ -x $build_dir/bin/llama-bench && -x $build_dir/bin/llama-batched-bench ]] && return
  note "building llama.cpp (some minutes; log: $build_dir.log)"
  {
    cmake -S "$source_dir/vendor/llama.cpp" -B "$build_dir" -G Ninja -DCMAKE_BUILD_TYPE=Release \
      -DCMAKE_CXX_FLAGS="-include '$here/tile_config.h'" -DBUILD_SHARED_LIBS=OFF -DGGML_NATIVE=ON -DLLAMA_OPENSSL=OFF -DLLAMA_BUILD_TESTS=OFF \
      -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_SERVER=OFF -DLLAMA_BUILD_APP=OFF -DLLAMA_BUILD_TOOLS=ON &&
      cmake --build "$build_dir" --target llama-bench llama-batched-bench -j "$(nproc)"
  } >"$build_dir.log" 2>&1 || fail "llama.cpp did not build: see $build_dir.log"
}

# The package's version, and llama.cpp's commit where the package tells it.
peer_version() {
  local head=$source_dir/.git/modules/vendor/llama.cpp/HEAD commit=''
  [[ -r $head ]] && commit=$(tr -d '\n' <"$head")
  if [[ $commit =~ ^[0-9a-f]{40}$ ]]; then
    echo "llama-cpp-python $package_version, llama.cpp ${commit:0:9}"
  else
    echo "llama-cpp-python $package_version"
  fi
}

model_path() { echo "$cache/hunyuan-$shape-$1.gguf"; }

write_model() {
  local model
  model=$(model_path "$1")
  [[ -e $model ]] && return
  note "writing $model"
  "$cache/venv/bin/python" -B "$here/write_gguf.py" --shape "$shape" --format "$1" "$model"
}

# Members of the comma-separated list $1 that start with $2, without it.
select_tests() { tr ',' '\n' <<<"$1" | sed -n "s/^$2//p" | paste -sd, -; }

# Prompt tests and single sequences by llama-bench, which starts from an empty cache and warms up by itself; batches by
# llama-batched-bench, each sequence with cache space of its own, as a server would keep them.
run_peer() {
  local model
  model=$(model_path "$1")
  local prompts generated alone=0 many largest longest
  prompts=$(select_tests "$tests" pp)
  generated=$(select_tests "$tests" tg)
  many=$(tr ',' '\n' <<<"$batches" | { grep -vx 1 || true; } | paste -sd, -)
  [[ ,$batches, != *,1,* ]] || alone=${generated:-0}
  if [[ -n $prompts || $alone != 0 ]]; then
    "$build_dir/bin/llama-bench" --model "$model" --threads "$threads" --n-prompt "${prompts:-0}" --n-gen "$alone" \
      --repetitions 1 --output jsonl 2>>"$work/peer.log" || return 1
  fi
  if [[ -n $generated && -n $many ]]; then
    largest=$(tr ',' '\n' <<<"$many" | sort -n | tail -1)
    longest=$(tr ',' '\n' <<<"$generated" | sort -n | tail -1)
    "$build_dir/bin/llama-batched-bench" --model "$model" --threads "$threads" --no-kv-unified \
      --ctx-size $((largest * (batch_prompt + longest))) -npp "$batch_prompt" -ntg "$generated" -npl "$many" \
      --output-format jsonl 2>>"$work/peer.log" || return 1
  fi
}

run_ours() {
  "$pagoda" bench --random-weights "$shape" --format "$1" --tests "$tests" \
    --batches "$batches" --threads "$threads" --json 2>>"$work/ours.log"
}

mkdir -p "$cache"
check_tools
python_environment
fetch_source
build_peer
# What is compared: our format and, after the colon, those of llama.cpp, of which the faster one counts in each row.
pairs=("${our_format:-$format}:$format")
[[ -z $quantised ]] || pairs=(int4:q4_0,q4_k_m int8:q8_0)
for pair in "${pairs[@]}"; do
  peers=${pair#*:}
  for name in ${peers//,/ }; do write_model "$name"; done
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for ((round = 1; round <= rounds; round++)); do
  for pair in "${pairs[@]}"; do
    ours=${pair%%:*} peers=${pair#*:}
    note "round $round of $rounds: $ours beside $peers"
    if [[ -z $peer_only ]]; then
      run_ours "$ours" >>"$work/ours-$ours.jsonl" || fail "our side failed: $(tail -3 "$work/ours.log")"
    fi
    for name in ${peers//,/ }; do
      run_peer "$name" >>"$work/peer-$name.jsonl" || fail "llama.cpp failed: $(tail -3 "$work/peer.log")"
    done
  done
done

cpu=$(sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -1)
for pair in "${pairs[@]}"; do
  ours=${pair%%:*} peers=${pair#*:}
  results=()
  for name in ${peers//,/ }; do results+=("$name=$work/peer-$name.jsonl"); done
  python3 -B "$here/compare.py" --tests "$tests" --batches "$batches" --shape "$shape" --format "$ours" \
    --peer llama.cpp --peer-version "$(peer_version)" --threads "$threads" --cpu "${cpu:-unknown}" $json \
    "$work/ours-$ours.jsonl" "${results[@]}"
done
