"""The precision of a run: bfloat16 where the device computes it natively, float32 elsewhere.

A processor without bfloat16 emulates it, and a convolution then takes several times as long as in
float32. With ``training.precision=auto`` a run takes what its first device computes natively, and
keeps it: the recipe in the run directory names the precision that was chosen, so that a resumed run
goes on in it on any machine. A run that asks for bfloat16 where it is emulated says by what factor.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

import torch
from msgspec.structs import replace
from torch.nn import functional

from mrvae.recipes.schema import Recipe

_CPU_FLAGS = ("avx512_bf16", "amx_bf16", "bf16", "arm_bf16")
_FLAGS = Path("/proc/cpuinfo")
_CHANNELS, _SIDE, _BATCH, _REPEATS = 32, 32, 4, 3


def computes_bfloat16(device: torch.device) -> bool:
    """Return whether a device computes bfloat16 natively.

    Example:
        >>> computes_bfloat16(torch.device("meta"))
        False
    """
    match device.type:
        case "cpu":
            return any(_cpu_capabilities().get(flag, False) for flag in _CPU_FLAGS)
        case "cuda":
            return bool(torch.cuda.is_bf16_supported(including_emulation=False))
        case "mps":
            return torch.backends.mps.is_macos_or_newer(14, 0)
        case _:
            return False


def settled(recipe: Recipe, device: torch.device, before: Recipe | None) -> Recipe:
    """Return the recipe with the precision of its run in the place of ``auto``.

    Args:
        recipe: as it was asked for.
        device: of this run.
        before: the recipe of the run that is resumed, whose precision is settled.

    Example:
        >>> import mrvae
        >>> recipe = mrvae.recipe("mnist-vdvae")
        >>> settled(recipe, torch.device("meta"), None).training.precision
        'float32'
    """
    if recipe.training.precision != "auto":
        return recipe
    if before is not None and before.training.precision != "auto":
        chosen = before.training.precision
    else:
        chosen = "bfloat16" if computes_bfloat16(device) else "float32"
    return replace(recipe, training=replace(recipe.training, precision=chosen))


def described(recipe: Recipe, device: torch.device) -> str:
    """Return one line on the precision of a run, and on what it costs where it is emulated."""
    if recipe.training.precision != "bfloat16":
        return f"precision: {recipe.training.precision}"
    if computes_bfloat16(device):
        return "precision: bfloat16, which this device computes natively"
    return (
        f"precision: bfloat16, which this device emulates: a convolution takes "
        f"{emulation_factor(device):.0f} times as long as in float32; training.precision=float32 "
        "is faster here"
    )


def emulation_factor(device: torch.device) -> float:
    """Return how many times as long a convolution takes in bfloat16 as in float32."""
    float32, bfloat16 = (_seconds(dtype, device) for dtype in (torch.float32, torch.bfloat16))
    return bfloat16 / float32


def _seconds(dtype: torch.dtype, device: torch.device) -> float:
    """Return the least time of a 3×3 convolution, forward and backward."""
    x = torch.ones(_BATCH, _CHANNELS, _SIDE, _SIDE, dtype=dtype, device=device)
    weight = torch.ones(_CHANNELS, _CHANNELS, 3, 3, dtype=dtype, device=device, requires_grad=True)
    times = []
    for _ in range(_REPEATS):
        began = time.perf_counter()
        torch.autograd.backward(functional.conv2d(x, weight, padding=1).sum())
        times.append(time.perf_counter() - began)
    return min(times)


def _cpu_capabilities() -> Mapping[str, object]:
    """Return the processor's instruction sets by name."""
    try:
        capabilities: Mapping[str, object] = torch.cpu.get_capabilities()
    except AttributeError:  # torch before 2.10
        text = _FLAGS.read_text() if _FLAGS.is_file() else ""
        capabilities = dict.fromkeys(text.split(), True)
    return capabilities
