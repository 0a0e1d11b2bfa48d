#!/usr/bin/env bash
# schemathesis_test.sh PAGODA BUILD_DIR: what schemathesis makes of /openapi.json, valid and invalid requests to every
# route, and whether the answers are what the description promises. Exit code 77: skipped.
#   PAGODA_SCHEMATHESIS_EXAMPLES=200 looks longer; PAGODA_SCHEMATHESIS_SEED=7 elsewhere.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/running_server.sh"

# One release: another one would make other requests of the same seed.
python_with "$2/schemathesis_venv" schemathesis 180 schemathesis==4.32.5

# models/nano continues nonsense for as long as it may. With more examples, texts come that want more room.
data=$2/schemathesis_data
rm -rf "$data" "$2/.schemathesis"  # the latter would replay what failed before
start_server "$1" "$2" --data "$data" --max-model-len 1024
cd "$2"
"$(dirname "$python")/schemathesis" --config-file "$here/schemathesis.toml" run "$url/openapi.json" \
  --phases examples,fuzzing --max-examples "${PAGODA_SCHEMATHESIS_EXAMPLES:-5}" \
  --seed "${PAGODA_SCHEMATHESIS_SEED:-1}" --continue-on-failure --request-timeout 60 --generation-database none
