"""The wrong operators that the checks of Falck et al. (2022) have to find out."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from mrvae.resolution import Ladder


@dataclass(frozen=True)
class Subsampling:
    """A projection that keeps every other pixel, and an embedding that repeats: P E = 1 still.

    E P is idempotent, but not self-adjoint: what it drops is not orthogonal to what it keeps.

    Example:
        >>> import torch
        >>> Subsampling(dims=1).project(torch.tensor([1.0, 2.0, 3.0, 4.0]))
        tensor([1., 3.])
    """

    dims: int

    def project(self, x: Tensor, steps: int = 1) -> Tensor:
        """Return every 2^steps-th pixel."""
        kept = slice(None, None, 1 << steps)
        return x[..., kept] if self.dims == 1 else x[..., kept, kept]

    def embed(self, x: Tensor, steps: int = 1) -> Tensor:
        """Return the image with pixels repeated."""
        return Ladder(base=1, depth=0, dims=self.dims).embed(x, steps)


@dataclass(frozen=True)
class Stuffing:
    """An embedding that writes zeros between the pixels, and changes the function.

    Example:
        >>> import torch
        >>> Stuffing(dims=1).embed(torch.tensor([1.0, 3.0]))
        tensor([1., 0., 3., 0.])
    """

    dims: int

    def embed(self, x: Tensor, steps: int = 1) -> Tensor:
        """Return the image with 2^steps - 1 zeros behind each pixel."""
        sides = [side << steps for side in x.shape[x.dim() - self.dims :]]
        fine = x.new_zeros(*x.shape[: x.dim() - self.dims], *sides)
        Subsampling(self.dims).project(fine, steps).copy_(x)
        return fine
