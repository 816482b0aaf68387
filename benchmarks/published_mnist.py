"""What the published code's smallest MNIST model reaches, trained as published.

    python benchmarks/published_mnist.py --steps 5000 --out results/published-vdvae-mnist-x1.json

trains the literal transcription of openai/vdvae (``tests/literal/vdvae.py``) on binary MNIST, with
the settings that its code has for small models: AdamW of constant rate 5e-4 after 100 warm-up
steps, both betas 0.9, weight decay 0.01, gradients clipped at 200 and updates skipped above 400,
averaged weights of 0.9995, batches of 32. The images, their order and the fixed binarisation of the
test set are ours, so that its bound is comparable with ours; the noise of the latents is
``torch.randn`` under the seed. The result is the mean one-sample -ELBO over all 10,000 test images,
of the weights after the last step and of their average, which so few steps leave behind; and the
curve of both on the first 1,000 validation images against the CPU seconds spent on training.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))

import mrvae
from literal import vdvae
from mrvae.data import Images, images_for
from mrvae.data.stream import Stream
from mrvae.files import write_json
from pairing import machine

RATE, WARMUP, BETA, DECAY = 5e-4, 100, 0.9, 0.01
CLIP, SKIP, AVERAGE, BATCH = 200.0, 400.0, 0.9995, 32
EVERY, VALIDATION = 250, 1000

Tree = dict[str, Any]


HEADINGS = (
    "model",
    "steps",
    "images a step",
    "CPU seconds",
    "test images",
    "−ELBO, nats",
    "of the averaged weights",
)


def read(path: Path) -> Tree:
    """Return what was written into a file."""
    found: Tree = json.loads(path.read_text("utf-8"))
    return found


def rows(found: Tree) -> list[tuple[str, ...]]:
    """Return the cells of the table."""
    metrics = found["metrics"]
    return [
        (
            found["model"],
            f"{found['steps']:,}",
            str(found["training"]["batch"]),
            f"{found['seconds']:,.0f}",
            f"{metrics['images']:,}",
            f"{metrics['nats']:.2f} ± {metrics['nats_se']:.2f}",
            f"{metrics['averaged_nats']:.2f} ± {metrics['averaged_nats_se']:.2f}",
        )
    ]


def inputs(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the normalised padded image and the target of binary images (B, 1, 28, 28)."""
    target = functional.pad(x.float(), (2, 2, 2, 2))
    return (target - 0.5) / 0.5, target


def train(
    model: vdvae.VAE, stream: Stream, steps: int, validation: Images
) -> tuple[vdvae.VAE, int, list[dict[str, float]]]:
    """Return the averaged model after ``steps`` updates, how many were skipped, and the curve."""
    average, weights = deepcopy(model), list(model.parameters())
    optimizer = torch.optim.AdamW(weights, lr=RATE, betas=(BETA, BETA), weight_decay=DECAY)
    skipped, seconds, curve = 0, 0.0, list[dict[str, float]]()
    for step in range(steps):
        if step % EVERY == 0 and step:
            curve.append(point(step, seconds, average, model, validation))
        begun = time.process_time()
        skipped += not update(model, average, optimizer, stream, step)
        seconds += time.process_time() - begun
    curve.append(point(steps, seconds, average, model, validation))
    return average, skipped, curve


def update(
    model: vdvae.VAE,
    average: vdvae.VAE,
    optimizer: torch.optim.Optimizer,
    stream: Stream,
    step: int,
) -> bool:
    """Make one update, and return whether it was not skipped."""
    optimizer.param_groups[0]["lr"] = RATE * min(1.0, (step + 1) / WARMUP)
    model.zero_grad()
    loss = model.loss(*inputs(stream.batch(step)))
    loss.backward()  # type: ignore[no-untyped-call]
    norm = float(nn.utils.clip_grad_norm_(model.parameters(), CLIP))
    if not math.isfinite(norm) or norm >= SKIP:
        return False
    optimizer.step()
    with torch.no_grad():
        for kept, weight in zip(average.parameters(), model.parameters(), strict=True):
            kept.mul_(AVERAGE).add_(weight, alpha=1 - AVERAGE)
    return True


def point(
    step: int, seconds: float, average: vdvae.VAE, model: vdvae.VAE, validation: Images
) -> dict[str, float]:
    """Return one row of the curve, with the state of the global generator left as it was."""
    state = torch.get_rng_state()
    torch.manual_seed(0)
    row = {
        "step": step,
        "seconds": round(seconds, 1),
        "nats": float(bounds(model, validation).mean()),
        "averaged_nats": float(bounds(average, validation).mean()),
    }
    torch.set_rng_state(state)
    print(json.dumps(row), flush=True)
    return row


@torch.no_grad()
def bounds(model: vdvae.VAE, images: Images) -> Tensor:
    """Return the one-sample -ELBO of every image in nats, float64 (N,)."""
    parts = []
    for indices in torch.split(torch.arange(len(images)), 100):
        outcome = model(*inputs(images.take(indices)))
        parts.append((outcome.kl.sum(dim=1) - outcome.log_likelihood).double())
    return torch.cat(parts)


def main() -> None:
    """Train, measure and write the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    recipe = mrvae.recipe("falck2022-mnist-x1")
    torch.manual_seed(options.seed)
    model = vdvae.VAE(vdvae.mnist())
    stream = Stream(images_for(recipe, "train"), BATCH, options.seed, binary=True)
    validation = images_for(recipe, "validation").subset(torch.arange(VALIDATION))
    average, skipped, curve = train(model, stream, options.steps, validation)
    test = images_for(recipe, "test")
    nats, averaged = bounds(model, test), bounds(average, test)
    write_json(
        options.out,
        {
            "name": "published-vdvae-mnist-x1",
            "model": "openai/vdvae, transcribed (tests/literal/vdvae.py), 32x32 blocks of one each",
            "training": {
                "optimizer": "AdamW",
                "rate": RATE,
                "warmup": WARMUP,
                "betas": [BETA, BETA],
                "weight_decay": DECAY,
                "clip": CLIP,
                "skip": SKIP,
                "ema": AVERAGE,
                "batch": BATCH,
            },
            "seed": options.seed,
            "steps": options.steps,
            "skipped": skipped,
            "seconds": curve[-1]["seconds"],
            "machine": machine("cpu"),
            "metrics": {
                "images": len(nats),
                "nats": float(nats.mean()),
                "nats_se": float(nats.std()) / math.sqrt(len(nats)),
                "averaged_nats": float(averaged.mean()),
                "averaged_nats_se": float(averaged.std()) / math.sqrt(len(averaged)),
            },
            "curve": curve,
        },
    )
    print(json.dumps({"nats": float(nats.mean())}))


if __name__ == "__main__":
    main()
