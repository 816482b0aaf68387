"""The least time of a training, from its operations and the speed of one matrix product.

A first step may be so large that no progress bar moves for hours. So a long run is announced before
it: its FLOPs are counted exactly (:mod:`mrvae.training.memory.footprint`) and divided by the FLOP/s
of the fastest operation there is. A run takes several times that.
"""

from __future__ import annotations

import time

import torch

from mrvae.forecast import announce
from mrvae.recipes.schema import Recipe
from mrvae.training.memory.footprint import footprint

# Counting takes seconds, which a run of fewer images would notice.
_MANY_IMAGES = 1 << 22
_SIDE, _PRODUCTS = 1024, 4


def announce_training(recipe: Recipe, steps: int, device: torch.device, processes: int) -> None:
    """Print the least time of ``steps`` steps on stderr, if they are of many images."""
    if steps * recipe.training.batch < _MANY_IMAGES:
        return
    flops = steps * footprint(recipe).flops
    speed = flops_per_second(device, recipe.training.precision == "bfloat16")
    announce(flops / (speed * processes), at_least=True)


def flops_per_second(device: torch.device, bfloat16: bool) -> float:
    """Return the speed of a matrix product on a device, a multiply-add being 2."""
    half = bfloat16 and device.type == "cuda"
    a = torch.ones(_SIDE, _SIDE, device=device, dtype=torch.bfloat16 if half else torch.float32)
    float((a @ a)[0, 0])
    began = time.perf_counter()
    for _ in range(_PRODUCTS):
        product = a @ a
    float(product[0, 0])
    return _PRODUCTS * 2.0 * _SIDE**3 / (time.perf_counter() - began)
