#!/usr/bin/env bash
# Train on several machines under SLURM; RUN has to be on a disk that all of them share:
#
#     sbatch --nodes 4 examples/slurm.sh RECIPE RUN [key=value …]
#
# Two minutes before its time is over, or when it is pre-empted, the job gets SIGTERM, saves, and
# queues again. The same line goes on with a run, on whatever number of machines.
#SBATCH --job-name=mrvae
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=16
#SBATCH --time=24:00:00
#SBATCH --signal=TERM@120
#SBATCH --requeue
set -euo pipefail

recipe=$1
run=$2
shift 2
head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
log=$(mktemp)
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}

code=0
srun torchrun \
    --nnodes "$SLURM_NNODES" --nproc-per-node "${PROCESSES:-8}" \
    --rdzv-backend c10d --rdzv-id "$SLURM_JOB_ID" --rdzv-endpoint "$head:${PORT:-29500}" \
    --module mrvae train "$recipe" "$@" --out "$run" --resume --quiet 2>&1 | tee "$log" || code=$?

# torchrun's own exit code does not tell a run that has stopped from one that has failed.
if grep -q "^mrvae: stopped after step" "$log"; then
    scontrol requeue "$SLURM_JOB_ID"
    code=0
fi
exit "$code"
