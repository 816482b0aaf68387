#!/usr/bin/env bash
# Train on all GPUs of one machine, or on PROCESSES of its CPU cores where it has none:
#
#     bash examples/torchrun.sh RECIPE RUN [key=value …]
#     PROCESSES=2 bash examples/torchrun.sh digits-vdvae runs/digits training.steps=100
#
# The same line goes on with a run that was stopped, on whatever number of processes.
set -euo pipefail

recipe=$1
run=$2
shift 2
gpus=$(nvidia-smi --list-gpus 2>/dev/null | wc -l || true)
processes=${PROCESSES:-$((gpus > 0 ? gpus : 1))}
# Several processes on one CPU would take each other's cores.
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}

exec torchrun --standalone --nproc-per-node "$processes" --module mrvae \
    train "$recipe" "$@" --out "$run" --resume
