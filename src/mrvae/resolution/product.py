"""A constant matrix applied along one axis of a tensor, at the tensor's own precision."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import ParamSpec

import torch
from torch import Tensor

P = ParamSpec("P")
_CACHED = 64


def cached_matrix(build: Callable[P, Tensor]) -> Callable[P, Tensor]:
    """Return ``build`` with a cache of its latest matrices."""

    @lru_cache(maxsize=_CACHED)
    def cached(*args: P.args, **kwargs: P.kwargs) -> Tensor:
        # A tensor created in inference mode cannot be used where a gradient is needed.
        with torch.inference_mode(False):
            return build(*args, **kwargs)

    def look_up(*args: P.args, **kwargs: P.kwargs) -> Tensor:
        # A compiler cannot trace the cache, and folds the constants itself.
        if torch.compiler.is_compiling():
            return build(*args, **kwargs)
        return cached(*args, **kwargs)  # type: ignore[arg-type]

    return look_up


def full_precision(x: Tensor) -> AbstractContextManager[object]:
    """Return a context without autocast, in which exact transforms would be rounded."""
    kind = x.device.type
    if not torch.amp.is_autocast_available(kind):
        return nullcontext()
    return torch.autocast(kind, enabled=False)


def matmul_along(matrix: Tensor, x: Tensor, dim: int) -> Tensor:
    """Return Σ_m matrix_{km} x_{…m…}, summed over the last axis or the one before it."""
    with full_precision(x):
        return x @ matrix.mT if dim == -1 else matrix @ x
