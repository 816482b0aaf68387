"""The meta device in the place of a CUDA or MPS device, under the rules that these have.

Tensors on it have shapes and types and no values, so that it waits for nothing: ``.item()`` is an
error, as a hidden synchronisation should be. What the meta device allows and a real one refuses is
refused here: tensors of two devices in one operation, a generator of another device, and float64
on MPS.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import pytest
import torch
import torch._dynamo  # before Generator is replaced: its annotations need the type
from torch import Tensor
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

DEVICE = torch.device("meta")
_GENERATOR = torch.Generator
_MOVES = {torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default}


class _Rules(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Refuses what a real device refuses."""

    def __init__(self, places: dict[int, torch.device], float64: bool) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.places = places
        self.float64 = float64

    def __torch_dispatch__(
        self,
        func: OpOverload,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> object:
        given = tree_leaves((args, kwargs))
        tensors = [leaf for leaf in given if isinstance(leaf, Tensor)]
        # A number may stay on the CPU, as with a real device.
        devices = {tensor.device for tensor in tensors if tensor.dim()}
        if len(devices) > 1 and func not in _MOVES:
            raise RuntimeError(f"{func}: tensors on {devices}")
        generators = [leaf for leaf in given if isinstance(leaf, _GENERATOR)]
        # Operations without values do not take a generator.
        unseeded = {k: v for k, v in (kwargs or {}).items() if not isinstance(v, _GENERATOR)}
        result = func(*args, **(unseeded if devices == {DEVICE} else kwargs or {}))
        made = [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
        for generator in generators:
            place = self.places.get(cast(Any, generator)._cdata, torch.device("cpu"))
            if any(tensor.device != place for tensor in made):
                raise RuntimeError(f"{func}: the generator is on {place}")
        if not self.float64 and any(t.is_meta and t.dtype == torch.float64 for t in made):
            raise TypeError(f"{func}: MPS has no float64")
        return result


@contextmanager
def stand_in(*, float64: bool) -> Iterator[torch.device]:
    """Let the meta device have generators inside the block, and the rules of a real device."""
    places: dict[int, torch.device] = {}
    kept = []

    def generator(place: torch.device | str = "cpu") -> torch.Generator:
        made = _GENERATOR()
        # Its address is its name as long as it lives.
        kept.append(made)
        places[cast(Any, made)._cdata] = torch.device(place)
        return made

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "Generator", generator)
        with _Rules(places, float64):
            yield DEVICE
