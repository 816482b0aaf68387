"""A constant matrix applied along one axis of a tensor, at the tensor's own precision."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import ParamSpec

import torch
from torch import Tensor

P = ParamSpec("P")
_KEPT = 64


def kept(build: Callable[P, Tensor]) -> Callable[P, Tensor]:
    """Build each matrix once, and keep the latest few."""

    @lru_cache(maxsize=_KEPT)
    def cached(*args: P.args, **kwargs: P.kwargs) -> Tensor:
        # A tensor born in inference mode could never again meet one that needs a gradient.
        with torch.inference_mode(False):
            return build(*args, **kwargs)

    def look_up(*args: P.args, **kwargs: P.kwargs) -> Tensor:
        # A compiler takes the cache off, and folds what it can of the building.
        if torch.compiler.is_compiling():
            return build(*args, **kwargs)
        return cached(*args, **kwargs)  # type: ignore[arg-type]

    return look_up


def exactly(x: Tensor) -> AbstractContextManager[object]:
    """Keep autocast from rounding: a transform that is exact in float32 is none in bfloat16."""
    kind = x.device.type
    if not torch.amp.is_autocast_available(kind):
        return nullcontext()
    return torch.autocast(kind, enabled=False)


def along(matrix: Tensor, x: Tensor, dim: int) -> Tensor:
    """Return Σ_m matrix_{km} x_{…m…}, summed over the last axis or the one before it."""
    with exactly(x):
        return x @ matrix.mT if dim == -1 else matrix @ x
