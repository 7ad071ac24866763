#!/usr/bin/env bash
# Train with one process per GPU or, without GPUs, with GPUS processes on the CPU:
#   tools/dist_train.sh CONFIG GPUS [OPTIONS of train.py ...]
# For several machines, set NNODES, NODE_RANK, MASTER_ADDR, and PORT in the environment.
set -euo pipefail

if [ "$#" -lt 2 ]; then
    echo "usage: $0 CONFIG GPUS [OPTIONS ...]" >&2
    exit 2
fi
config=$1
gpus=$2
shift 2
args=("$config")

tools="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
PYTHONPATH="$tools/..${PYTHONPATH:+:$PYTHONPATH}" exec "${PYTHON:-python}" \
    -m torch.distributed.run \
    --nnodes "${NNODES:-1}" \
    --node-rank "${NODE_RANK:-0}" \
    --master-addr "${MASTER_ADDR:-127.0.0.1}" \
    --master-port "${PORT:-29500}" \
    --nproc-per-node "$gpus" \
    "$tools/train.py" "${args[@]}" --launcher pytorch "$@"
