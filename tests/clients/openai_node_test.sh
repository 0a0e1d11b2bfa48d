#!/usr/bin/env bash
# openai_node_test.sh PAGODA BUILD_DIR: OpenAI's client for Node against the server. Exit code 77: skipped.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/running_server.sh"

command -v node >/dev/null && command -v npm >/dev/null || skip "node or npm is not installed"
folder=$2/node
mkdir -p "$folder"
if [ ! -d "$folder/node_modules/openai" ]; then
  (cd "$folder" && timeout 180 npm install --no-audit --no-fund --loglevel=error --prefix . openai >npm.log 2>&1) ||
    skip "openai cannot be installed from npm ($(grep -m 1 . "$folder/npm.log"))"
fi
# Modules are looked up from the file that asks for them.
cp "$here/openai_node_test.mjs" "$folder/"
start_server "$1" "$2" --api-key test-key
node "$folder/openai_node_test.mjs" "$url"
