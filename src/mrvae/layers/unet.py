"""A small U-Net conditioned on time: the backbone of a diffusion over contexts.

It goes down through the resolutions and up again. On every scale there are residual blocks,

    x ← S x + C₂ g((1 + a) N₂(h) + b),      h = C₁ g(N₁(x)),      (a, b) = W g(e),

with N a group normalisation, g = SiLU, C 3×3 convolutions, e an embedding of the time t, and S the
identity, or a pointwise convolution where the width changes. Every state on the way down is kept,
and the way up concatenates them to its states, in reverse. At the bottom are two blocks with one of
attention between them. C₂, the last map of the attention and the last convolution begin at zero:
blocks begin as the identity and the output as 0.

Between scales the ladder's projection averages 2×2 pixels and its embedding repeats them; in the
Haar basis this is a crop, and zeros in its place (Falck et al. 2022, theorem 2).

The layout is that of Dhariwal & Nichol (2021) as Kuzina & Tomczak (2023) use it, and with one scale
it has exactly as many parameters as theirs. With more, theirs has a 3×3 convolution at every change
of scale, down and up, and ours has none. Theirs also has dropout; its noise would depend on what
was drawn before, so it is left out.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from mrvae.layers.convolution import convolution, scale_weight
from mrvae.resolution import Ladder
from mrvae.sizes import ImageSize, can_halve, halved, kernel_for, size_text


def time_embedding(t: Tensor, width: int, dtype: torch.dtype) -> Tensor:
    """Return cosines and sines of t at frequencies from 1 to nearly 1/10000.

    Args:
        t: times, of shape (B,).
        width: number of values, even.
        dtype: of the result.

    Returns:
        Of shape (B, width).

    Source: Vaswani et al. 2017, section 3.5.

    Example:
        >>> time_embedding(torch.tensor([0]), 4, torch.float32)
        tensor([[1., 1., 0., 0.]])
    """
    half = width // 2
    exponents = torch.arange(half, device=t.device, dtype=dtype) / half
    angles = t.to(dtype)[:, None] * torch.exp(-math.log(10_000.0) * exponents)
    return torch.cat((angles.cos(), angles.sin()), dim=1)


class TimedBlock(nn.Module):
    """A residual block whose second normalisation is scaled and shifted by the time.

    Args:
        inputs: channels of x.
        outputs: channels of the result.
        time: size of the time's embedding.
        groups: of the normalisations; it divides both numbers of channels.
        kernel: of both convolutions.

    Example:
        >>> block, x = TimedBlock(8, 8, time=4, groups=2), torch.randn(1, 8, 3, 3)
        >>> bool(torch.equal(block(x, torch.randn(1, 4)), x))
        True
    """

    def __init__(
        self, inputs: int, outputs: int, time: int, groups: int, kernel: ImageSize = 3
    ) -> None:
        super().__init__()
        self.enter = nn.GroupNorm(groups, inputs)
        self.first = convolution(inputs, outputs, kernel)
        self.modulate = nn.Linear(time, 2 * outputs)
        self.inside = nn.GroupNorm(groups, outputs)
        self.second = convolution(outputs, outputs, kernel)
        self.skip = nn.Identity() if inputs == outputs else convolution(inputs, outputs, 1)
        scale_weight(self.second, 0.0)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """Map (B, inputs, H, W) and the embedding (B, time) to (B, outputs, H, W)."""
        h = self.first(functional.silu(self.enter(x)))
        scale, shift = self.modulate(functional.silu(embedding))[..., None, None].chunk(2, dim=1)
        h = self.inside(h) * (1 + scale) + shift
        result: Tensor = self.skip(x) + self.second(functional.silu(h))
        return result


class SelfAttention(nn.Module):
    """A residual block in which every pixel attends to all.

    Args:
        width: channels.
        heads: number of heads; it divides the width.
        groups: of the normalisation; it divides the width.

    Source: Dhariwal & Nichol 2021, section 3.

    Example:
        >>> block, x = SelfAttention(8, heads=2, groups=2), torch.randn(1, 8, 3, 3)
        >>> bool(torch.equal(block(x), x))
        True
    """

    def __init__(self, width: int, heads: int, groups: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.GroupNorm(groups, width)
        self.ask = convolution(width, 3 * width, 1)
        self.answer = convolution(width, width, 1)
        scale_weight(self.answer, 0.0)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, width, H, W) to the same shape."""
        batch, _, height, width = x.shape
        # (B, 3, heads, width/heads, H·W), and attention wants the pixels before the channels.
        parts = self.ask(self.norm(x)).view(batch, 3, self.heads, -1, height * width)
        query, key, value = parts.transpose(-1, -2).unbind(1)
        # Not torch's fused attention: it counts no operations, and there are few pixels.
        weights = torch.softmax(query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5, dim=-1)
        attended = weights @ value
        result: Tensor = x + self.answer(attended.transpose(-1, -2).reshape(x.shape))
        return result


class UNet(nn.Module):
    """The U-Net, from a state at time t to the parameters of a step.

    Args:
        size: pixels of the finest scale: one number, or (height, width).
        channels: of the input.
        outputs: channels of the output.
        width: channels inside, the same on all scales.
        scales: number of scales, each half as large as the one before.
        blocks: residual blocks per scale on the way down; one more on the way up.
        heads: of the attention.
        groups: of the normalisations.

    Raises:
        ValueError: if the size cannot be halved ``scales - 1`` times, or ``heads``, ``groups`` or 2
            does not divide ``width``.

    Source: Dhariwal & Nichol 2021, as used by Kuzina & Tomczak 2023, table 6.

    Example:
        >>> unet = UNet(size=7, channels=1, outputs=2, width=32, scales=1, blocks=3)
        >>> sum(p.numel() for p in unet.parameters())
        239426
        >>> unet(torch.randn(2, 1, 7, 7), torch.tensor([1, 7])).abs().max().item()
        0.0
    """

    def __init__(
        self,
        size: ImageSize,
        channels: int,
        outputs: int,
        width: int,
        scales: int,
        blocks: int,
        heads: int = 2,
        groups: int = 16,
    ) -> None:
        super().__init__()
        if scales < 1 or not can_halve(size, scales - 1):
            raise ValueError(
                f"scales is {scales}; {size_text(size)} pixels a side cannot be halved"
                f" {scales - 1} times"
            )
        if any(width % part for part in (heads, groups, 2)):
            raise ValueError(
                f"width is {width}; it must be a multiple of 2, of heads, {heads}, and of groups,"
                f" {groups}"
            )
        self.width = width
        self.ladder = Ladder.between(halved(size, scales - 1), size)
        kernel = kernel_for(size, 3)
        self.embed = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        self.enter = convolution(channels, width, kernel)
        self.down = nn.ModuleList(
            _column(width, width, blocks, groups, kernel) for _ in range(scales)
        )
        self.before, self.after = _column(width, width, 2, groups, kernel)
        self.attention = SelfAttention(width, heads, groups)
        self.up = nn.ModuleList(
            _column(2 * width, width, blocks + 1, groups, kernel) for _ in range(scales)
        )
        self.norm = nn.GroupNorm(groups, width)
        self.leave = convolution(width, outputs, kernel)
        scale_weight(self.leave, 0.0)

    def forward(self, y: Tensor, t: Tensor) -> Tensor:
        """Map (B, channels, H, W) and times (B,) to (B, outputs, H, W)."""
        embedding = self.embed(time_embedding(t, self.width, self.enter.weight.dtype))
        h, passed = self._descend(self.enter(y), embedding)
        h = self.after(self.attention(self.before(h, embedding)), embedding)
        for scale, column in enumerate(self.up):
            h = self.ladder.embed(h) if scale else h
            for block in column.children():
                h = block(torch.cat((h, passed.pop()), dim=1), embedding)
        result: Tensor = self.leave(functional.silu(self.norm(h)))
        return result

    def _descend(self, h: Tensor, embedding: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the state at the bottom, and all states on the way there, the last one last."""
        passed = [h]
        for scale, column in enumerate(self.down):
            if scale:
                h = self.ladder.project(h)
                passed.append(h)
            for block in column.children():
                h = block(h, embedding)
                passed.append(h)
        return h, passed


def _column(inputs: int, width: int, count: int, groups: int, kernel: ImageSize) -> nn.ModuleList:
    """Return the residual blocks of one scale."""
    return nn.ModuleList(TimedBlock(inputs, width, width, groups, kernel) for _ in range(count))
