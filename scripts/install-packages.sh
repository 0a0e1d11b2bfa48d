#!/usr/bin/env bash
# The one list of Debian 12 packages that Pagoda needs. Installs what is missing, and nothing else.
#   scripts/install-packages.sh [build] [test] [bench] [fuzz] [page] [wheels]     (default: build)
#   scripts/install-packages.sh --print [GROUP]...                only prints the names
# PAGODA_SKIP_PACKAGES=1 skips it, for machines whose libraries come from somewhere else.
set -euo pipefail

# cmake/dependencies.cmake says which library each of these brings. Boost is pinned to 1.81: the unversioned
# libboost-dev is 1.74 and cannot be installed beside it.
build_packages=(build-essential cmake ninja-build ccache pkg-config
  libboost1.81-dev libboost-json1.81-dev libboost-url1.81-dev
  libcli11-dev libfmt-dev libspdlog-dev libicu-dev libpcre2-dev libhwy-dev libcld2-dev prometheus-cpp-dev
  libcurl4-openssl-dev libssl-dev libsqlite3-dev
  ca-certificates curl)  # curl: quickstart.sh asks the server whether it is up
test_packages=(libgtest-dev libgmock-dev clang-format-14 python3 jq git)
bench_packages=(libdnnl-dev)
fuzz_packages=(clang-14 libclang-rt-14-dev)
# The browser of tests/page, and letters for all languages: what a missing font draws has another size.
page_packages=(chromium chromium-driver python3-venv fonts-noto-core fonts-noto-cjk)

# What quickstart.sh fetches CUDA's wheels with, where there is a GPU but no toolkit.
wheels_packages=(python3 python3-venv)

print_only=false
wanted=("${build_packages[@]}")
for group in "$@"; do
  case "$group" in
    --print) print_only=true ;;
    build) ;;
    test) wanted+=("${test_packages[@]}") ;;
    bench) wanted+=("${bench_packages[@]}") ;;
    fuzz) wanted+=("${fuzz_packages[@]}") ;;
    page) wanted+=("${page_packages[@]}") ;;
    wheels) wanted+=("${wheels_packages[@]}") ;;
    *) echo "install-packages.sh: unknown group '$group'; known: build test bench fuzz page wheels" >&2; exit 2 ;;
  esac
done
if $print_only; then
  echo "${wanted[*]}"
  exit 0
fi
if [ "${PAGODA_SKIP_PACKAGES:-0}" = 1 ]; then
  echo "packages not checked (PAGODA_SKIP_PACKAGES=1)"
  exit 0
fi

# Says what to do by hand, with the names, and ends.
give_up() {
  {
    echo "error: $1"
    echo "Pagoda is built on Debian 12 (bookworm) and needs these packages:"
    echo "  ${missing[*]}"
    echo "Install them (or what your system calls them) and run this again with PAGODA_SKIP_PACKAGES=1 if"
    echo "they did not come from apt."
  } >&2
  exit 1
}

missing=()
if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  missing=("${wanted[@]}")
  give_up "no apt on this system"
fi
for package in "${wanted[@]}"; do
  state=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$state" = installed ] || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
  echo "all ${#wanted[@]} packages are there"
  exit 0
fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || give_up "packages are missing, and this is neither root nor is there sudo"
  as_root=(sudo)
fi
# env comes after sudo, which may drop the variables of its caller.
apt_get=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300)

echo "installing ${#missing[@]} of ${#wanted[@]} packages: ${missing[*]}"
# An update that fails (one dead mirror among several) may still leave usable lists: the install decides.
"${apt_get[@]}" update || echo "apt-get update failed; trying with the lists that are there" >&2
"${apt_get[@]}" install -y --no-install-recommends "${missing[@]}" || give_up "apt-get could not install them"
