#!/usr/bin/env bash
# Check mrvae on this machine's GPU, in at most 8 minutes, and write results/gpu-NAME.json:
#
#     examples/gpu_check.sh
#
# It runs the tests that need CUDA, the benchmarks of a step and of sampling, and a table of
# throughput. Every part has a time limit of its own, and the file says what ended in time.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! name=$(python -c 'import torch; print(torch.cuda.get_device_name())' 2>/dev/null); then
    echo "gpu_check.sh: torch finds no CUDA device here; run it on a machine that has one" >&2
    exit 2
fi
name=$(tr -cs 'A-Za-z0-9\n' - <<<"$name" | sed 's/-$//')
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

part() {  # part NAME SECONDS COMMAND…
    local began=$SECONDS code=0
    timeout "$2" "${@:3}" >"$work/$1.log" 2>&1 || code=$?
    echo "$1: exit code $code after $((SECONDS - began)) s"
    printf '%s %s %s\n' "$1" "$code" "$((SECONDS - began))" >>"$work/parts"
    tail -n 2 "$work/$1.log"
}

part tests 120 python -m pytest -q -m gpu tests/gpu
part step 120 python benchmarks/train_step.py --device cuda --quick --json "$work/step.json"
part sampling 60 python benchmarks/sampling.py --device cuda --quick --json "$work/sampling.json"
for recipe in digits-vdvae falck2022-mnist-x1 falck2022-cifar10-x1 vdvae-cifar10; do
    part "$recipe" 40 python -m mrvae describe "$recipe" --device cuda --json
    grep '^{' "$work/$recipe.log" >"$work/$recipe.json" || true
done

python - "$work" "results/gpu-$name.json" <<'EOF'
import json
import sys
from pathlib import Path

import torch

work, out = Path(sys.argv[1]), Path(sys.argv[2])
parts = [line.split() for line in (work / "parts").read_text().splitlines()]
found = {
    "device": torch.cuda.get_device_name(),
    "torch": torch.__version__,
    "parts": [{"part": p, "exit_code": int(c), "seconds": int(s)} for p, c, s in parts],
}
for path in sorted(work.glob("*.json")):
    text = path.read_text().strip()
    if text:
        found[path.stem] = json.loads(text)
out.write_text(json.dumps(found, indent=1) + "\n")
print(f"wrote {out}")
EOF
