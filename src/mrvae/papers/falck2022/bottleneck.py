"""U-Nets that pool, with and without skip connections, and the bottleneck of one level.

On V_j let F_j be the network on the way down and B_j the one on the way up, P the projection onto
V_{j-1} and E the embedding back. Equations 1 and 2 of Falck et al. 2022 are

    U_{j,θ} = B_{j,θ} ∘ E ∘ P ∘ F_j                   without skip connection,
    U_{j,φ} = B_{j,φ}(E ∘ P ∘ F_j, F_j)               with it: B reads what P has dropped.

If B_{j,θ} = F_j⁻¹, then U_{j,θ} is a projection, F_j⁻¹ (E P) F_j, along curved sheets: applied
twice it is itself. If B_{j,φ}(a, y) = F_j⁻¹(a + (1 - E P) y), then U_{j,φ} = 1. When either is the
mean of a Gaussian of standard deviation s in each pixel, the model's cost of doing without the skip
connection is

    KL(N(U_{j,φ} x, s²) ‖ N(U_{j,θ} x, s²)) = ‖U_{j,φ} x - U_{j,θ} x‖² / 2s²,

summed over pixels, as a likelihood is. A bottleneck is a :class:`PooledUNet` of one level.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from mrvae.papers.falck2022.transport import energy
from mrvae.resolution import Resampling

Map = Callable[[Tensor], Tensor]
Join = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Pair:
    """The two maps of one level, F_j and B_j, each from V_j to V_j."""

    forward: Map
    backward: Map


def invertible_join(inverse: Map, resampling: Resampling) -> Join:
    """Return B(a, y) = F⁻¹(a + (1 - E P) y): the details come from the skip connection only.

    Example:
        >>> import torch
        >>> from mrvae.resolution import Ladder
        >>> join = invertible_join(lambda y: y, Ladder(base=1, depth=1, dims=1))
        >>> join(torch.tensor([[2.0, 2.0]]), torch.tensor([[1.0, 3.0]]))
        tensor([[1., 3.]])
    """

    def join(embedded: Tensor, y: Tensor) -> Tensor:
        return inverse(embedded + y - resampling.embed(resampling.project(y)))

    return join


def skip_kl(with_skip: Map, without: Map, x: Tensor, scale: float) -> Tensor:
    """Return KL(N(U_φ x, s²) ‖ N(U_θ x, s²)) in nats for each x: of shape (N,).

    Args:
        with_skip: U_φ.
        without: U_θ.
        x: of shape (N, …).
        scale: s, positive.

    Raises:
        ValueError: if ``scale`` is not positive.

    Source: Falck et al. 2022, section 2.1, below equation 2.

    Example:
        >>> import torch
        >>> skip_kl(lambda x: x, lambda x: x - 1, torch.zeros(2, 1, 3), scale=1.0)
        tensor([1.5000, 1.5000])
    """
    if not scale > 0:
        raise ValueError(f"scale is {scale}; it must be positive")
    return (with_skip(x) - without(x)).square().flatten(1).sum(1) / (2 * scale**2)


@dataclass(frozen=True)
class PooledUNet:
    """A U-Net: down by P ∘ F_j to V_0, and up by x_j = B_j(E x_{j-1}, y_j), y_j = F_j x_j.

    Args:
        forwards: F_1 … F_J, coarse to fine.
        backwards: B_1 … B_J, each of the embedded state and of y_j.
        resampling: P and E.
        dims: 1 for signals, 2 for images.

    Source: Falck et al. 2022, equations 1 and 2, at every level.

    Example:
        >>> import torch
        >>> from mrvae.resolution import Ladder
        >>> ladder = Ladder(base=1, depth=1, dims=1)
        >>> net = PooledUNet((lambda x: x,), (lambda a, y: (a + y) / 2,), ladder, dims=1)
        >>> net.reconstruct(torch.tensor([[1.0, 3.0]]))
        tensor([[1.5000, 2.5000]])
    """

    forwards: tuple[Map, ...]
    backwards: tuple[Join, ...]
    resampling: Resampling
    dims: int

    @property
    def levels(self) -> int:
        """J, how often the way down projects."""
        return len(self.forwards)

    def down(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return (x_0, y_1, …, y_J), y_j = F_j x_j, x_{j-1} = P y_j and x_J = x."""
        found = []
        for forward in reversed(self.forwards):
            found.append(forward(x))
            x = self.resampling.project(found[-1])
        return (x, *reversed(found))

    def up(self, states: Sequence[Tensor]) -> Tensor:
        """Return x_J from (x_0, y_1, …, y_J)."""
        state, *outputs = states
        for backward, y in zip(self.backwards, outputs, strict=True):
            state = backward(self.resampling.embed(state), y)
        return state

    def reconstruct(self, x: Tensor) -> Tensor:
        """Return what has gone down and up."""
        return self.up(self.down(x))

    def discarded(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return ‖(1 - E P) y_j‖², j = 1 … J, what each projection loses, each of shape (N,)."""
        p = self.resampling
        return tuple(energy(y - p.embed(p.project(y)), self.dims) for y in self.down(x)[1:])

    def inversion_error(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return ‖B_j F_j x_j - x_j‖², j = 1 … J, on the states that x passes, each (N,)."""
        _, *outputs = self.down(x)
        states = [*(self.resampling.project(y) for y in outputs[1:]), x]
        levels = zip(self.backwards, outputs, states, strict=True)
        return tuple(energy(backward(y, y) - s, self.dims) for backward, y, s in levels)

    def defect(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return ‖F_j x̂_j - E x̂_{j-1}‖², j = 1 … J, on the way up from x_0, each (N,).

        Without skip connections it is 0 if B_j = F_j⁻¹, since x̂_j = B_j E x̂_{j-1}.
        """
        state, *outputs = self.down(x)
        found = []
        for forward, backward, y in zip(self.forwards, self.backwards, outputs, strict=True):
            embedded = self.resampling.embed(state)
            state = backward(embedded, y)
            found.append(energy(forward(state) - embedded, self.dims))
        return tuple(found)


def without_skips(pairs: Sequence[Pair], resampling: Resampling, dims: int) -> PooledUNet:
    """Return the U-Net without skip connections: up by B_j ∘ E.

    Source: Falck et al. 2022, theorem 3.

    Example:
        >>> import torch
        >>> from mrvae.resolution import Ladder
        >>> one = Pair(lambda x: x, lambda y: y)
        >>> net = without_skips((one, one), Ladder(base=1, depth=2, dims=1), dims=1)
        >>> x = torch.tensor([[1.0, 3.0, 5.0, 5.0]])
        >>> net.reconstruct(x)
        tensor([[3.5000, 3.5000, 3.5000, 3.5000]])
        >>> [energy.item() for energy in net.discarded(x)]
        [2.25, 0.5]
    """
    forwards = tuple(pair.forward for pair in pairs)
    return PooledUNet(forwards, tuple(_ignoring(p.backward) for p in pairs), resampling, dims)


def _ignoring(backward: Map) -> Join:
    """Return B as a map of the embedded state that does not read y."""
    return lambda embedded, y: backward(embedded)
