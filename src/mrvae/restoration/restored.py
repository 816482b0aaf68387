"""What a restoration returns: draws, their mean and their spread, on [0, 1]."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from mrvae.models import ImageFrame

Progress = Callable[[int], None]
"""Called with the number of steps that are done."""


@dataclass(frozen=True)
class Restored:
    """Restored images, (…, C, H, W) on [0, 1].

    Real-valued draws may leave [0, 1] a little, as the projection onto an observation may ask for.

    Attributes:
        draws: n for each observation, (n, B, C, H, W).
        mean: of the chains after their warm-up, (B, C, H, W): the estimate of least squared error.
        deviation: standard deviation of each pixel over the same, (B, C, H, W).
        acceptance: part of the proposals that was accepted, (B,); None where there are none.
    """

    draws: Tensor
    mean: Tensor
    deviation: Tensor
    acceptance: Tensor | None = None

    def to(self, device: torch.device | str) -> Restored:
        """Return the same on another device."""
        accepted = None if self.acceptance is None else self.acceptance.to(device)
        draws, mean, deviation = (x.to(device) for x in (self.draws, self.mean, self.deviation))
        return Restored(draws, mean, deviation, accepted)


class PixelMoments:
    """The mean and the deviation of pixels over the draws of n chains, added up step by step.

    Args:
        chains: n; row k·B + b of a batch is chain k of image b.
    """

    def __init__(self, chains: int) -> None:
        self.chains = chains
        self.count = 0
        self._mean: Tensor | float = 0.0
        self._first: Tensor | float = 0.0
        self._square: Tensor | float = 0.0

    def add(self, mean: Tensor, draw: Tensor) -> None:
        """Add one step: the expected pixels given the latents, and a draw, both (n·B, C, H, W)."""
        self.count += 1
        self._mean = self._mean + self._over_chains(mean)
        self._first = self._first + self._over_chains(draw)
        self._square = self._square + self._over_chains(draw.double().square())

    @property
    def mean(self) -> Tensor:
        """The mean over chains and steps of the expected pixels, which varies less than draws'."""
        return torch.as_tensor(self._mean / self.count)

    @property
    def deviation(self) -> Tensor:
        """The standard deviation of the draws over chains and steps."""
        first = torch.as_tensor(self._first / self.count)
        variance = torch.as_tensor(self._square / self.count) - first.square()
        return variance.clamp(min=0).sqrt()

    def _over_chains(self, x: Tensor) -> Tensor:
        return by_chain(x.double(), self.chains).mean(dim=0)


def by_chain(x: Tensor, chains: int) -> Tensor:
    """Return rows k·B + b with the chain k as an axis of its own: (n·B, …) → (n, B, …).

    Example:
        >>> by_chain(torch.arange(6), 3).tolist()
        [[0, 1], [2, 3], [4, 5]]
    """
    return x.view(chains, len(x) // chains, *x.shape[1:])


def joined(parts: Sequence[Restored]) -> Restored:
    """Return the restorations of several batches as those of one.

    Example:
        >>> one = Restored(torch.zeros(4, 1, 1, 2, 2), *torch.zeros(2, 1, 1, 2, 2).unbind())
        >>> joined([one, one]).draws.shape
        torch.Size([4, 2, 1, 2, 2])
    """
    accepted = [part.acceptance for part in parts if part.acceptance is not None]
    whole = Restored(
        torch.cat([part.draws for part in parts], dim=1),
        torch.cat([part.mean for part in parts]),
        torch.cat([part.deviation for part in parts]),
    )
    return replace(whole, acceptance=torch.cat(accepted)) if accepted else whole


def image_shape(frame: ImageFrame) -> tuple[int, int, int]:
    """Return the shape (C, H, W) of a model's images."""
    return frame.shape
