"""Which units are worth coding.

A unit's share of the bound is KL(q ‖ p) in bits, its mean over some images. In direct coding a unit
that is coded costs most of a bit even where it says nothing; it is left at its prior's mean below
``DIRECT`` bits. In bits-back coding a unit costs what it says, but borrows bits for a draw; the
units that say least are drawn from the prior, as many as hold ``LEFT`` of what all say together.
That share is of all latents at once: by a bar for each unit, a model would leave the more the more
units it has.

The answer is a bit for each unit, and goes into the file: for each latent the share of units that
are coded, in 65,535ths, two bytes; then all units' bits, coded by these shares on one stack.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from mrvae.compression.coder import Stack, Table
from mrvae.compression.network import Network
from mrvae.data import normal
from mrvae.models.hierarchy.walk import Shape, from_posterior

DIRECT = 0.3
LEFT = 0.002
_WHOLE = 0xFFFF


@torch.no_grad()
def bits_per_unit(network: Network, x: Tensor) -> tuple[Tensor, ...]:
    """Return the mean KL of every unit over images x, uint8 (N, C, S, S), in bits.

    There is one float64 (C, H, W) for each latent; each image has one draw of them.
    """
    sums = [torch.zeros(shape, dtype=torch.float64) for shape in network.shapes]
    for start, part in _batches(x, network.batch()):
        indices = range(start, start + len(part))
        noise = normal(0, 0, indices, network.noise_size, dtype=torch.float64)
        choices = [from_posterior()] * len(sums)
        trace = network.trace(choices, network.features(part), noise, network.context(part))
        for total, step in zip(sums, trace.steps, strict=True):
            if step.posterior is not None:
                total += step.prior.kl_from(step.posterior, step.z).sum(0)
    return tuple(total / (len(x) * math.log(2)) for total in sums)


def telling(bits: Sequence[Tensor]) -> list[Tensor]:
    """Return the fewest units that hold all of the bits but the share ``LEFT``, as masks.

    Example:
        >>> telling([torch.tensor([5.0, 0.004]), torch.tensor([0.01, 3.0, 0.0])])
        [tensor([ True, False]), tensor([False,  True, False])]
    """
    # A model that is a context alone has no units.
    flat = torch.cat([torch.zeros(0, dtype=torch.float64), *(each.flatten() for each in bits)])
    falling, order = flat.sort(descending=True, stable=True)
    before = falling.cumsum(0) - falling
    mask = torch.zeros_like(flat, dtype=torch.bool)
    mask[order] = before < (1 - LEFT) * falling.sum()
    parts = torch.split(mask, [each.numel() for each in bits])
    return [part.view_as(each) for part, each in zip(parts, bits, strict=True)]


def pack(active: Sequence[Tensor]) -> bytes:
    """Write which units are coded.

    Example:
        >>> masks = (torch.tensor([[[True, False], [False, False]]]),)
        >>> torch.equal(unpack(pack(masks), [(1, 2, 2)])[0], masks[0])
        True
    """
    shares = [_share(mask) for mask in active]
    stack = Stack()
    for mask, share in reversed(list(zip(active, shares, strict=True))):
        if 0 < share < _WHOLE:
            stack.push(_law(share, mask.numel()), mask.flatten().numpy().astype(np.int32))
    return struct.pack(f"<{len(shares)}H", *shares) + stack.words.astype("<u4").tobytes()


def unpack(packed: bytes, shapes: Sequence[Shape]) -> tuple[Tensor, ...]:
    """Read which units are coded, for latents of the given shapes.

    Raises:
        ValueError: if the bytes are of other shapes, or damaged.
    """
    head = 2 * len(shapes)
    if len(packed) < head or (len(packed) - head) % 4:
        raise ValueError(f"{len(packed)} bytes do not say which of {len(shapes)} latents are coded")
    stack = Stack(np.frombuffer(packed, dtype="<u4", offset=head).astype(np.uint32))
    masks = []
    for share, shape in zip(struct.unpack_from(f"<{len(shapes)}H", packed), shapes, strict=True):
        if 0 < share < _WHOLE:
            count = math.prod(shape)
            bits = torch.from_numpy(stack.pop(_law(share, count)))
        else:
            bits = torch.full((math.prod(shape),), int(share == _WHOLE))
        masks.append(bits.bool().view(shape))
    if not stack.empty:
        raise ValueError("the units that are coded are those of another model")
    return tuple(masks)


def _share(mask: Tensor) -> int:
    """Return the share of coded units; its ends are none and all."""
    count = int(mask.sum())
    if count in (0, mask.numel()):
        return _WHOLE if count else 0
    return min(max(round(_WHOLE * count / mask.numel()), 1), _WHOLE - 1)


def _law(share: int, count: int) -> Table:
    return Table(np.broadcast_to(np.array([_WHOLE - share, share]), (count, 2)))


def _batches(x: Tensor, size: int) -> Iterator[tuple[int, Tensor]]:
    for start in range(0, len(x), size):
        yield start, x[start : start + size]
