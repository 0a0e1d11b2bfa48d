#!/usr/bin/env bash
# openai_python_test.sh PAGODA BUILD_DIR: OpenAI's Python client against the server. Exit code 77: skipped.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/running_server.sh"

python_with "$2/openai_venv" openai 180 openai
start_server "$1" "$2" --api-key test-key
"$python" "$here/openai_python_test.py" "$url"
