"""The cost of a computation: its FLOPs, and the memory of its tensors.

A *dispatch mode* of PyTorch is called for every operation, those of the backward pass included. So
both costs are counted operation by operation, on meta tensors:

* the FLOPs of an operation follow from the shapes of its operands, a multiply-add being 2; only
  those of convolutions and matrix products are counted;
* a storage is alive from the operation that returns it until nothing refers to it. With A(t) the
  bytes alive after operation t, the peak is max A(t).

Memory that an operation allocates and frees before it returns, such as the workspace of a library,
is not counted, and neither are tensors that existed before.
"""

from __future__ import annotations

import weakref
from collections.abc import Hashable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

_GELUS = (torch.ops.aten.gelu.default, torch.ops.aten.gelu_backward.default)


class FlopCounter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts FLOPs as PyTorch's ``FlopCounterMode`` does, in half its time; values may be wrong.

    A model 235 cells deep makes 15,000 operations, and only the overhead of the calls takes time.
    GELU is a third of it, because PyTorch computes its shape from a decomposition.

    Attributes:
        flops: the sum so far.

    Example:
        >>> with FlopCounter() as counted:
        ...     _ = torch.empty(2, 3, device="meta") @ torch.empty(3, 5, device="meta")
        >>> counted.flops
        60
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.flops = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # What is counted is never compiled, and a mode that skips the compiler imports it.
        return False

    def __torch_dispatch__(
        self,
        func: OpOverload,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> object:
        """Call an operation, and add its FLOPs."""
        if func in _GELUS:
            return torch.empty_like(args[-1] if func is _GELUS[0] else args[1])
        result = func(*args, **(kwargs or {}))
        cost = flop_registry.get(func.overloadpacket)
        if cost is not None:
            self.flops += cost(*args, **(kwargs or {}), out_val=result)
        return result


class Meter(FlopCounter):  # type: ignore[no-untyped-call]
    """Also counts the bytes of the storages that are created inside and still alive.

    Attributes:
        now: bytes alive.
        peak: the largest value of ``now``.

    Example:
        >>> with Meter() as meter:
        ...     a = torch.empty(1000, device="meta")
        ...     b = a + 1
        ...     del a
        ...     c = b.view(10, 100) + 1
        >>> meter.now, meter.peak
        (8000, 8000)
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = 0
        self.peak = 0
        self._alive: set[Hashable] = set()

    def __torch_dispatch__(
        self,
        func: OpOverload,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> object:
        """Call an operation, and count the storages that it returns."""
        result = super().__torch_dispatch__(func, types, args, kwargs)
        # A view of a weight is nothing new.
        given = {storage_key(arg) for arg in args if isinstance(arg, Tensor)}
        for value in result if isinstance(result, tuple | list) else (result,):
            if isinstance(value, Tensor) and storage_key(value) not in given:
                self._track(value)
        return result

    def _track(self, tensor: Tensor) -> None:
        storage, name = tensor.untyped_storage(), storage_key(tensor)
        if name in self._alive:
            return
        self._alive.add(name)
        self.now += storage.nbytes()
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._release, name, storage.nbytes())

    def _release(self, name: Hashable, size: int) -> None:
        self._alive.discard(name)
        self.now -= size


def storage_key(tensor: Tensor) -> Hashable:
    """Return a key of the tensor's storage; meta tensors have no address to compare.

    Example:
        >>> a = torch.empty(4, device="meta")
        >>> storage_key(a) == storage_key(a.view(2, 2)), storage_key(a) == storage_key(a.clone())
        (True, False)
    """
    return StorageWeakRef(tensor.untyped_storage())  # type: ignore[no-untyped-call]
