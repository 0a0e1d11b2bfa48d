#!/usr/bin/env bash
# Formats src, tests and bench in place, with the version the format test asks for.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
find src tests bench -path tests/data -prune -o -type f \
  \( -name '*.h' -o -name '*.cc' -o -name '*.cu' -o -name '*.cuh' \) -print0 | xargs -0 -r clang-format-14 -i
