"""Which units of each latent are coded, as bytes.

The bytes hold for each latent the share of its units that are coded, in 65,535ths, as two bytes;
then the bits of all units, coded by these shares on one stack.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from mrvae.compression.coding.stack import Stack
from mrvae.compression.coding.symbols import SymbolTable
from mrvae.models.hierarchy.walk import Shape

_WHOLE = 0xFFFF


def masks_to_bytes(masks: Sequence[Tensor]) -> bytes:
    """Return the bytes of masks, one bool (C, H, W) for each latent.

    Example:
        >>> masks = (torch.tensor([[[True, False], [False, False]]]),)
        >>> torch.equal(masks_from_bytes(masks_to_bytes(masks), [(1, 2, 2)])[0], masks[0])
        True
    """
    shares = [_share(mask) for mask in masks]
    stack = Stack()
    for mask, share in reversed(list(zip(masks, shares, strict=True))):
        if 0 < share < _WHOLE:
            stack.push(_table(share, mask.numel()), mask.flatten().numpy().astype(np.int32))
    return struct.pack(f"<{len(shares)}H", *shares) + stack.to_bytes()


def masks_from_bytes(packed: bytes, shapes: Sequence[Shape]) -> tuple[Tensor, ...]:
    """Return the masks of latents of the given shapes.

    Raises:
        ValueError: if the bytes are of other shapes, or damaged.
    """
    head = 2 * len(shapes)
    if len(packed) < head:
        raise ValueError(f"{len(packed)} bytes are too few for the units of {len(shapes)} latents")
    stack = Stack.from_bytes(packed[head:])
    masks: list[Tensor] = []
    for share, shape in zip(struct.unpack_from(f"<{len(shapes)}H", packed), shapes, strict=True):
        count = math.prod(shape)
        if 0 < share < _WHOLE:
            bits = torch.from_numpy(stack.pop(_table(share, count)))
        else:
            bits = torch.full((count,), int(share == _WHOLE))
        masks.append(bits.bool().view(shape))
    if not stack.empty:
        raise ValueError("the coded units belong to another model")
    return tuple(masks)


def _share(mask: Tensor) -> int:
    """Return the share of coded units; 0 is none, 65,535 is all, and no other mask has these."""
    count = int(mask.sum())
    if count in (0, mask.numel()):
        return _WHOLE if count else 0
    return min(max(round(_WHOLE * count / mask.numel()), 1), _WHOLE - 1)


def _table(share: int, count: int) -> SymbolTable:
    return SymbolTable(np.broadcast_to(np.array([_WHOLE - share, share]), (count, 2)))
