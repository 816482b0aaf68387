"""Regions: parts of a model that are compiled once for each shape, however often they are used.

A whole model compiled as one graph takes a time that grows with its depth. A hierarchy consists of
many blocks and cells of few shapes, so that its parts are compiled instead: the weights of a part
are inputs of its graph, and one graph serves all parts of one shape. Without gradients a region
runs eagerly: validation is rare, and would need a graph of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TypeVar, TypeVarTuple, Unpack

import torch

Inputs = TypeVarTuple("Inputs")
Result = TypeVar("Result")


def region(function: Callable[[Unpack[Inputs]], Result]) -> Callable[[Unpack[Inputs]], Result]:
    """Return ``function``, compiled for every shape of its inputs where gradients are taken.

    Example:
        >>> with torch.no_grad():
        ...     region(torch.square)(torch.tensor(3.0))
        tensor(9.)
    """

    @cache
    def compiled() -> Callable[[Unpack[Inputs]], Result]:
        # Not before it is needed: the compiler takes a second to import.
        return torch.compile(function, dynamic=False)

    def run(*inputs: *Inputs) -> Result:
        return compiled()(*inputs) if torch.is_grad_enabled() else function(*inputs)

    return run
