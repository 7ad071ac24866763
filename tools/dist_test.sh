#!/usr/bin/env bash
# Test with one process per GPU or, without GPUs, with GPUS processes on the CPU:
#   tools/dist_test.sh CONFIG CHECKPOINT GPUS [OPTIONS of test.py ...]
# For several machines, set NNODES, NODE_RANK, MASTER_ADDR, and PORT in the environment.
set -euo pipefail

if [ "$#" -lt 3 ]; then
    echo "usage: $0 CONFIG CHECKPOINT GPUS [OPTIONS ...]" >&2
    exit 2
fi
config=$1
checkpoint=$2
gpus=$3
shift 3
args=("$config" "$checkpoint")

tools="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
PYTHONPATH="$tools/..${PYTHONPATH:+:$PYTHONPATH}" exec "${PYTHON:-python}" \
    -m torch.distributed.run \
    --nnodes "${NNODES:-1}" \
    --node-rank "${NODE_RANK:-0}" \
    --master-addr "${MASTER_ADDR:-127.0.0.1}" \
    --master-port "${PORT:-29500}" \
    --nproc-per-node "$gpus" \
    "$tools/test.py" "${args[@]}" --launcher pytorch "$@"
