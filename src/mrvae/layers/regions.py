"""Regions: parts of a model that are compiled once for each shape, however often they are used.

A whole model compiled as one graph takes a time that grows with its depth. A hierarchy consists of
many blocks and cells of few shapes, so that its parts are compiled instead: the weights of a part
are inputs of its graph, and one graph serves all parts of one shape. Without gradients a region
runs eagerly: validation is rare, and would need a graph of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar, TypeVarTuple, Unpack

import torch

Inputs = TypeVarTuple("Inputs")
Result = TypeVar("Result")


class Region(Generic[*Inputs, Result]):
    """A function that is compiled for every shape of its inputs, where gradients are taken.

    Args:
        function: of tensors and modules.

    Attributes:
        compiled: the compiled function; None before its first call.

    Example:
        >>> with torch.no_grad():
        ...     Region(torch.square)(torch.tensor(3.0))
        tensor(9.)
    """

    def __init__(self, function: Callable[[Unpack[Inputs]], Result]) -> None:
        self.function = function
        self.compiled: Callable[[Unpack[Inputs]], Result] | None = None

    def __call__(self, *inputs: *Inputs) -> Result:
        """Return the function of the inputs."""
        if not torch.is_grad_enabled():
            return self.function(*inputs)
        if self.compiled is None:
            # Not before it is needed: the compiler takes a second to import.
            self.compiled = torch.compile(self.function, dynamic=False)
        return self.compiled(*inputs)
