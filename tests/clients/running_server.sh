# Sourced by the tests of this folder: a server of models/nano on a free port, for as long as the script runs.
#   start_server PAGODA BUILD_DIR [FLAGS...]      sets `url`

source "$(dirname "${BASH_SOURCE[0]}")/../python_packages.sh"

start_server() {
  local pagoda=$1 build=$2 root log
  shift 2
  root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
  log=$(mktemp "$build/server.XXXXXX.log")
  "$pagoda" serve --model "$root/models/nano" --port 0 --threads 1 --kv-cache-memory 256MiB "$@" </dev/null >"$log" 2>&1 &
  server_pid=$!
  trap 'kill "$server_pid" 2>/dev/null; wait "$server_pid" 2>/dev/null || true' EXIT
  for _ in $(seq 600); do
    url=$(sed -n 's/^serving .* on \(http.*\)$/\1/p' "$log")
    if [ -n "$url" ]; then return 0; fi
    if ! kill -0 "$server_pid" 2>/dev/null; then break; fi
    sleep 0.1
  done
  echo "the server did not start:" >&2
  cat "$log" >&2
  return 1
}
