"""What a computation costs: its operations, and the memory that its tensors take.

A *dispatch mode* of PyTorch sees every operation that is called inside of it, those of the backward
pass included. So both costs are counted on tensors without values:

* an operation's FLOPs follow from the shapes of its operands, a multiply-add being 2, and only
  convolutions and matrix products are counted;
* a storage is alive from the operation that returns it until nothing refers to it any more. With
  A(t) the bytes that are alive after operation t, the peak memory is max A(t).

Not counted are what an operation allocates and frees before it returns, such as a library's
workspace, and tensors that existed before.
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


class Operations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts floating-point operations as PyTorch's ``FlopCounterMode`` does, in half its time.

    For tensors without values only. A model 235 cells deep has 15,000 operations, whose dispatch
    dominates the time. GELU would take a third of it, because PyTorch decomposes it to find the
    shape of its output; here it is not dispatched.

    Attributes:
        flops: so far.

    Example:
        >>> with Operations() as counted:
        ...     _ = torch.empty(2, 3, device="meta") @ torch.empty(3, 5, device="meta")
        >>> counted.flops
        60
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.flops = 0

    def __torch_dispatch__(
        self,
        func: OpOverload,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> object:
        """Call an operation, and add what it costs."""
        if func in _GELUS:
            return torch.empty_like(args[-1] if func is _GELUS[0] else args[1])
        output = func(*args, **(kwargs or {}))
        cost = flop_registry.get(func.overloadpacket)
        if cost is not None:
            self.flops += cost(*args, **(kwargs or {}), out_val=output)
        return output


class Meter(Operations):  # type: ignore[no-untyped-call]
    """Also counts the bytes of the storages that were made inside and are still referred to.

    Attributes:
        now: bytes alive.
        peak: the largest number so far.

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
        self._known: set[Hashable] = set()

    def __torch_dispatch__(
        self,
        func: OpOverload,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> object:
        """Call an operation, and watch what it makes."""
        output = super().__torch_dispatch__(func, types, args, kwargs)
        for value in output if isinstance(output, tuple | list) else (output,):
            if isinstance(value, Tensor):
                self._watch(value)
        return output

    def _watch(self, tensor: Tensor) -> None:
        storage, name = tensor.untyped_storage(), identity(tensor)
        if name in self._known:
            return
        self._known.add(name)
        self.now += storage.nbytes()
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._forget, name, storage.nbytes())

    def _forget(self, name: Hashable, size: int) -> None:
        self._known.discard(name)
        self.now -= size


def identity(tensor: Tensor) -> Hashable:
    """Return a key that tensors on the same storage share, also on meta, which has no addresses.

    Example:
        >>> a = torch.empty(4, device="meta")
        >>> identity(a) == identity(a.view(2, 2)), identity(a) == identity(a.clone())
        (True, False)
    """
    return StorageWeakRef(tensor.untyped_storage())  # type: ignore[no-untyped-call]
