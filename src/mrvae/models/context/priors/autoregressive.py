"""An autoregressive prior of a context: explicit, and not factorised.

The D codes are put in an order, and each has a distribution given those before it,

    p(c) = Π_i p(c_i | c_<i),      p(c_i | c_<i) = Σ_k π_ik(c_<i) N̄(c_i; μ_ik(c_<i), σ_ik(c_<i)),

a mixture of K Gaussians N̄ rounded to the grid. It is a probability for every integer, and does not
care how many codes an element has. One masked network (Germain et al. 2015) gives all parameters
at once: a hidden unit of degree d reads the codes 1 … d, and the parameters of code i read the
units of degree i - 1 and less. So log p(c) takes one pass, and a sample takes D.

A natural order is along rows for averages, and from low to high frequency, along the diagonals, for
a cosine transform.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from mrvae.distributions import DiscretizedGaussian
from mrvae.distributions.categorical import draw
from mrvae.distributions.pixels import widen
from mrvae.models.context.priors.base import ExplicitPrior, Lattice, standard_normal
from mrvae.models.hierarchy.walk import Shape


def raster(shape: Shape) -> tuple[int, ...]:
    """Return the order along rows, from the first, the channels of a pixel next to each other.

    The entries are places in the flattened (C, h, w).

    Example:
        >>> raster((2, 2, 2))
        (0, 4, 1, 5, 2, 6, 3, 7)
    """
    channels, height, width = shape
    return tuple(
        c * height * width + pixel for pixel in range(height * width) for c in range(channels)
    )


def zigzag(shape: Shape) -> tuple[int, ...]:
    """Return the order by diagonals, from the lowest frequency, to and fro as in JPEG.

    Example:
        >>> zigzag((1, 3, 3))
        (0, 1, 3, 6, 4, 2, 5, 7, 8)
    """
    channels, height, width = shape
    pixels = [(row, column) for row in range(height) for column in range(width)]
    # Along even diagonals the row falls, along odd ones it grows.
    pixels.sort(key=lambda p: (sum(p), p[0] if sum(p) % 2 else -p[0]))
    return tuple((c * height + row) * width + col for row, col in pixels for c in range(channels))


class MaskedLinear(nn.Module):
    """A linear map in which an output reads those inputs only whose degree is within its reach.

    Args:
        reach: of every output, whole numbers (outputs,).
        degree: of every input, whole numbers (inputs,).

    Example:
        >>> layer = MaskedLinear(reach=torch.tensor([1]), degree=torch.tensor([1, 2]))
        >>> layer(torch.tensor([0.0, 9.0])).item() == layer.bias.item()
        True
    """

    reach: Tensor
    degree: Tensor

    def __init__(self, reach: Tensor, degree: Tensor) -> None:
        super().__init__()
        linear = nn.Linear(len(degree), len(reach))
        self.weight, self.bias = linear.weight, linear.bias
        self.register_buffer("reach", reach, persistent=False)
        self.register_buffer("degree", degree, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (…, inputs) to (…, outputs)."""
        return self.part(x, slice(None))

    def part(self, x: Tensor, outputs: slice) -> Tensor:
        """Map (…, inputs) to some of the outputs."""
        mask = (self.reach[outputs, None] >= self.degree).to(self.weight.device)
        return functional.linear(x, self.weight[outputs] * mask, self.bias[outputs])


class AutoregressivePrior(ExplicitPrior):
    """A masked network of two hidden layers that gives each code a mixture of Gaussians.

    Args:
        lattice: the context's transform, or another lattice.
        order: places in the flattened (C, h, w), first to last, see :func:`raster` and
            :func:`zigzag`.
        hidden: units of a hidden layer.
        components: K, Gaussians of a mixture.

    Raises:
        ValueError: if the order is no permutation of the places, or ``hidden`` or ``components`` is
            not positive.

    Source: ours for contexts; the masks are those of Germain et al. 2015, MADE.

    Example:
        >>> from mrvae.distributions import Grid
        >>> from mrvae.models.context.priors.base import FixedLattice
        >>> lattice = FixedLattice((1, 2, 2), Grid.unit(4))
        >>> prior = AutoregressivePrior(lattice, zigzag(lattice.shape), hidden=8, components=2)
        >>> prior.log_pmf(prior.sample(3)).shape
        torch.Size([3])
    """

    def __init__(
        self, lattice: Lattice, order: tuple[int, ...], hidden: int, components: int
    ) -> None:
        super().__init__()
        count = torch.Size(lattice.shape).numel()
        if sorted(order) != list(range(count)):
            raise ValueError(f"order is {order}; expected each of 0 … {count - 1} once")
        if min(hidden, components) < 1:
            raise ValueError(
                f"hidden is {hidden} and components are {components}; both must be 1 or more"
            )
        self.lattice, self.order, self.components = lattice, order, components
        # On the CPU, where they have values even if the model is built without any.
        place = torch.tensor(order, device="cpu").argsort() + 1
        # Level i of the order has degree i; hidden degrees go round through 1 … D - 1.
        degree = torch.arange(hidden, device="cpu") % max(count - 1, 1) + 1
        self.first = MaskedLinear(degree, place)
        self.second = MaskedLinear(degree, degree)
        self.third = MaskedLinear(place.repeat_interleave(3 * components) - 1, degree)
        self._spread()

    @torch.no_grad()
    def _spread(self) -> None:
        """Begin with the components' means spread over [-1, 1], and scales to match."""
        means = (torch.arange(self.components) * 2 + 1) / self.components - 1
        bias = self.third.bias.view(-1, 3, self.components)
        bias[:, 0], bias[:, 2] = 0.0, -torch.tensor(float(self.components)).log()
        bias[:, 1] = means

    def log_pmf(self, c: Tensor) -> Tensor:
        """Return log p(c) in nats, of shape (B,), of codes (B, C, h, w)."""
        logits, gaussian = self.conditionals(c)
        each = logits.log_softmax(1) + gaussian.log_prob(c.unsqueeze(1))
        return each.logsumexp(1).sum(dim=(1, 2, 3))

    def conditionals(self, c: Tensor) -> tuple[Tensor, DiscretizedGaussian]:
        """Return the mixtures' logits and Gaussians, (B, K, C, h, w), given the codes before."""
        # Probabilities stay in full precision whatever the layers run in.
        out = widen(self.third(self.hidden(c)))
        rows = out.view(len(c), -1, 3, self.components).permute(2, 0, 3, 1)
        logits, mean, log_scale = rows.reshape(3, len(c), self.components, *self.lattice.shape)
        return logits, DiscretizedGaussian(mean, log_scale.exp(), self.lattice.grid)

    def hidden(self, c: Tensor) -> Tensor:
        """Return the last hidden units, (B, hidden), of codes (B, C, h, w).

        Those that the parameters of a code read do not depend on it or on what comes after it.
        """
        values = self.lattice.grid.value(c, self.first.weight.dtype).flatten(1)
        return functional.gelu(self.second(functional.gelu(self.first(values))))

    def conditional(self, units: Tensor, place: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return logits, means and scales (B, K) of the code at one place, given hidden units.

        They are those of :meth:`conditionals` but for rounding. A decoder, which knows the codes
        one after the other, has to compute no more than it can use.
        """
        count = 3 * self.components
        out = widen(self.third.part(units, slice(place * count, (place + 1) * count)))
        logits, mean, log_scale = out.view(len(out), 3, self.components).unbind(1)
        return logits, mean, log_scale.exp()

    @torch.no_grad()
    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw n contexts, int64 (n, C, h, w), one code after the other.

        Raises:
            ValueError: if n is not positive.
        """
        noise = standard_normal((n, *self.lattice.shape), self.first.weight, generator)
        c = torch.zeros(noise.shape, dtype=torch.int64, device=noise.device)
        for place in self.order:
            logits, gaussian = self.conditionals(c)
            chosen = draw(logits, 1, generator).unsqueeze(1)
            codes = gaussian.sample(noise.unsqueeze(1)).gather(1, chosen).flatten(1)
            c.view(n, -1)[:, place] = codes[:, place]
        return c
