#!/usr/bin/env bash
# Train with Slurm:
#   tools/slurm_train.sh PARTITION JOB_NAME CONFIG WORK_DIR [OPTIONS of train.py ...]
# Set GPUS, GPUS_PER_NODE, CPUS_PER_TASK, and SRUN_ARGS in the environment. There is
# one process per GPU. Without GPUs, use SRUN_ARGS=--gres=none for GPUS processes on the
# CPU.
set -euo pipefail

if [ "$#" -lt 4 ]; then
    echo "usage: $0 PARTITION JOB_NAME CONFIG WORK_DIR [OPTIONS ...]" >&2
    exit 2
fi
partition=$1
job_name=$2
args=("$3" --work-dir "$4")
shift 4
gpus=${GPUS:-8}
gpus_per_node=${GPUS_PER_NODE:-$((gpus < 8 ? gpus : 8))}
# Each word of SRUN_ARGS is a separate argument of srun.
read -r -a srun_args <<< "${SRUN_ARGS:-}"

tools="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
PYTHONPATH="$tools/..${PYTHONPATH:+:$PYTHONPATH}" exec srun \
    --partition "$partition" \
    --job-name "$job_name" \
    --gres "gpu:$gpus_per_node" \
    --ntasks "$gpus" \
    --ntasks-per-node "$gpus_per_node" \
    --cpus-per-task "${CPUS_PER_TASK:-5}" \
    --kill-on-bad-exit 1 \
    ${srun_args[@]+"${srun_args[@]}"} \
    "${PYTHON:-python}" -u "$tools/train.py" "${args[@]}" --launcher slurm "$@"
