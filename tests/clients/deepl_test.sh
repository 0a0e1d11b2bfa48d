#!/usr/bin/env bash
# deepl_test.sh PAGODA BUILD_DIR: DeepL's Python client against the server. Exit code 77: skipped.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/running_server.sh"

# A folder of its own: tests run beside each other.
python_with "$2/deepl_venv" deepl 180 deepl
data=$2/deepl_data
rm -rf "$data"
start_server "$1" "$2" --api-key test-key --api-key other-key --data "$data"
"$python" "$here/deepl_test.py" "$url"
