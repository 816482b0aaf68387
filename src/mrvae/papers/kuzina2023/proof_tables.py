"""A hierarchy small enough to be a table of p(z_C, z_B, z_A, x), and what can be read off it.

Of a top-down hierarchy, one latent z_B is examined; z_C stands for all latents above it, z_A for
all below (equation 6 of Kuzina & Tomczak 2023). Each takes a few values, and so does x. Every
expectation is then a finite sum, and every divergence is known to the last digits of float64.

All that propositions 1 and 2 speak of are conditional distributions that are equal or are not. Two
of them are equal wherever they are needed if and only if the expected divergence is zero,

    D(u | v ‖ u | w) = E KL(p(u | v) ‖ p(u | w)),    w a part of v,

which is the information I(u; v | w). With 0 log 0 = 0, configurations of probability zero, at which
a conditional distribution is not defined, do not count.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

# The axes of a joint table: z_C, z_B, z_A and x.
_AXES = "cbax"
# More values than two, and all numbers different, so that no symmetry makes a claim true.
_SIZES = (2, 3, 4, 5)


@dataclass(frozen=True)
class Hierarchy:
    """The conditional tables of a hierarchy, float64, each summing to one over its last axis.

    Args:
        top: p(z_C), of shape (C,).
        middle: p(z_B | z_C), of shape (C, B).
        bottom: p(z_A | z_B, z_C), of shape (C, B, A).
        pixel: p(x | z_A, z_B, z_C), of shape (C, B, A, X).

    Example:
        >>> coin = torch.full((1, 2), 0.5)
        >>> one = torch.ones(1)
        >>> copied = Hierarchy(one, coin, one.expand(1, 2, 1), torch.eye(2)[None, :, None])
        >>> round(divergence(copied.joint, of="x", given="bc", less="c"), 4)
        0.6931
    """

    top: Tensor
    middle: Tensor
    bottom: Tensor
    pixel: Tensor

    @property
    def joint(self) -> Tensor:
        """p(z_C, z_B, z_A, x), of shape (C, B, A, X)."""
        return torch.einsum("c,cb,cba,cbax->cbax", self.top, self.middle, self.bottom, self.pixel)

    @property
    def prior(self) -> Tensor:
        """p(z), of shape (1, C, B, A)."""
        return self.joint.sum(dim=3)[None]

    @property
    def evidence(self) -> Tensor:
        """p(x), of shape (X,)."""
        return self.joint.sum(dim=(0, 1, 2))

    @property
    def posterior(self) -> Tensor:
        """p(z | x), of shape (X, C, B, A)."""
        return (self.joint / self.evidence).movedim(-1, 0)

    @property
    def likelihood(self) -> Tensor:
        """p(x | z), of shape (X, C, B, A)."""
        return self.pixel.movedim(-1, 0)


def marginal(joint: Tensor, names: str) -> Tensor:
    """Return the marginal of the axes named, the others kept with one entry.

    Example:
        >>> marginal(torch.ones(2, 3, 1, 1), "b").flatten().tolist()
        [2.0, 2.0, 2.0]
    """
    gone = [axis for axis, name in enumerate(_AXES) if name not in names]
    return joint.sum(dim=gone, keepdim=True) if gone else joint


def divergence(joint: Tensor, *, of: str, given: str, less: str) -> float:
    """Return E KL(p(of | given) ‖ p(of | less)) in nats, ``less`` being a part of ``given``."""
    weight = marginal(joint, of + given)
    known = marginal(joint, given), marginal(joint, of + less)
    ratio = weight.log() - known[0].log() - known[1].log() + marginal(joint, less).log()
    return float(torch.where(weight > 0, weight * ratio, torch.zeros_like(weight)).sum())


def collapse(joint: Tensor) -> float:
    """Return how far the posterior of z_B is from collapse (equation 2), in nats."""
    return divergence(joint, of="b", given="cx", less="c")


def dependence(joint: Tensor) -> float:
    """Return how far x and z_B are from conditional independence given z_C, in nats."""
    return divergence(joint, of="x", given="bc", less="c")


def identifiability(joint: Tensor) -> float:
    """Return how far z_B is from non-identifiability (equation 10), in nats."""
    return divergence(joint, of="x", given="abc", less="ac")


# ------------------------------------------------------------------------------- constructions


def rows(stream: torch.Generator, *shape: int) -> Tensor:
    """Draw probabilities over the last axis, uniformly among all, float64.

    Example:
        >>> bool((rows(torch.Generator().manual_seed(0), 3, 4).sum(dim=1) - 1).abs().max() < 1e-12)
        True
    """
    drawn = torch.empty(shape, dtype=torch.float64).exponential_(generator=stream)
    return drawn / drawn.sum(dim=-1, keepdim=True)


def any_table(stream: torch.Generator) -> Hierarchy:
    """Draw a hierarchy in which everything depends on everything above it."""
    c, b, a, x = _SIZES
    return Hierarchy(
        rows(stream, c), rows(stream, c, b), rows(stream, c, b, a), rows(stream, c, b, a, x)
    )


def one_level(stream: torch.Generator) -> Hierarchy:
    """Draw a hierarchy of z_B and x only."""
    _, b, _, x = _SIZES
    return Hierarchy(
        rows(stream, 1), rows(stream, 1, b), rows(stream, 1, b, 1), rows(stream, 1, b, 1, x)
    )


def chain(stream: torch.Generator) -> Hierarchy:
    """Draw the graph of figure 7: z_B acts on x through z_A only, and z_C on all."""
    drawn, (c, b, a, x) = any_table(stream), _SIZES
    return Hierarchy(
        drawn.top, drawn.middle, drawn.bottom, rows(stream, c, 1, a, x).expand(c, b, a, x)
    )


def severed(stream: torch.Generator) -> Hierarchy:
    """Draw the graph of figure 7 without its arrow from z_B to z_A: no path leads to x."""
    drawn, (c, b, a, _) = chain(stream), _SIZES
    return Hierarchy(drawn.top, drawn.middle, rows(stream, c, 1, a).expand(c, b, a), drawn.pixel)


def masked(stream: torch.Generator, *, fair: bool = True) -> Hierarchy:
    """Draw a hierarchy in which z_A, of its own, hides z_B: x is z_A + z_B and noise, modulo n.

    With n values of z_A, alike in probability, every x is as likely as another whatever z_B is.
    If z_A is not ``fair`` it hides less.
    """
    c, n = _SIZES[:2]
    coin = torch.full((c, 1, n), 1 / n, dtype=torch.float64) if fair else rows(stream, c, 1, n)
    noise, place = rows(stream, c, n), torch.arange(n)
    turn = (place - place.view(-1, 1) - place.view(-1, 1, 1)) % n
    return Hierarchy(rows(stream, c), rows(stream, c, n), coin.expand(c, n, n), noise[:, turn])


def gaussian_masked(gain: float, shift: float = 0.0, nodes: int = 24) -> Hierarchy:
    """Return z_A, z_B ~ N(0, 1) and one pixel with p(x = 1) = logistic(gain (z_A + shift) z_B).

    Gauss and Hermite's nodes stand for the Gaussians; they are as symmetric as these.
    """
    place, weight = (torch.as_tensor(each) for each in np.polynomial.hermite_e.hermegauss(nodes))
    weight = weight / weight.sum()
    one = torch.sigmoid(gain * (place + shift) * place[:, None])
    pixel = torch.stack([1 - one, one], dim=-1)[None]
    return Hierarchy(
        torch.ones(1, dtype=torch.float64), weight[None], weight.expand(1, nodes, nodes), pixel
    )


def conditioning(model: Hierarchy) -> Hierarchy:
    """Return the hierarchy with (x, z_C) for x: its decoder writes what f reads, so z_C = f(x)."""
    c, b, a, x = model.pixel.shape
    pixel = model.pixel.new_zeros(c, b, a, x, c)
    for value in range(c):
        pixel[value, ..., value] = model.pixel[value]
    return Hierarchy(model.top, model.middle, model.bottom, pixel.flatten(start_dim=3))


def without_context(stream: torch.Generator) -> Hierarchy:
    """Draw a hierarchy whose z_B, z_A and x do not depend on z_C."""
    drawn, (c, b, a, x) = any_table(stream), _SIZES
    return Hierarchy(
        drawn.top,
        drawn.middle[:1].expand(c, b),
        drawn.bottom[:1].expand(c, b, a),
        drawn.pixel[:1].expand(c, b, a, x),
    )


def unused_value(stream: torch.Generator) -> Hierarchy:
    """Draw a hierarchy with no arrow from z_B, but at a value that p(z_B | z_C) never takes."""
    drawn, other = severed(stream), any_table(stream)
    middle, pixel = drawn.middle.clone(), drawn.pixel.clone()
    middle[:, 0] = 0
    pixel[:, 0] = other.pixel[:, 0]
    return Hierarchy(drawn.top, middle / middle.sum(dim=1, keepdim=True), drawn.bottom, pixel)


# --------------------------------------------------------------------------------- inference


def any_posterior(stream: torch.Generator) -> Tensor:
    """Draw q(z | x), of shape (X, C, B, A)."""
    c, b, a, x = _SIZES
    return rows(stream, x, c * b * a).view(x, c, b, a)


def per_image(q: Tensor, p: Tensor) -> Tensor:
    """Return KL(q(z | x) ‖ p(z | x)) for each x, of shape (X,)."""
    return (torch.xlogy(q, q) - torch.xlogy(q, p)).flatten(start_dim=1).sum(dim=1)


def by_layers(q: Tensor, p: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Return the terms of the chain rule, the latents above a layer weighted by ``weight``.

    Args:
        q: q(z | x), of shape (X, C, B, A).
        p: p(z | x), of shape (X, C, B, A).
        weight: distribution of the latents above, of shape (X, C, B, A); the rule holds if it is q.

    Returns:
        The first term, KL of z_C, and the sum of the two others, of shape (X,) each.
    """
    first = per_image(q.sum(dim=(2, 3)), p.sum(dim=(2, 3)))
    middle = _given(q.sum(dim=3), p.sum(dim=3)) * weight.sum(dim=(2, 3))
    bottom = _given(q, p) * weight.sum(dim=3)
    return first, middle.sum(dim=1) + bottom.sum(dim=(1, 2))


def elbo(model: Hierarchy, q: Tensor) -> Tensor:
    """Return E_q ln p(x, z)/q(z | x) for each x, of shape (X,)."""
    joint = model.joint.movedim(-1, 0)
    return (torch.xlogy(q, joint) - torch.xlogy(q, q)).flatten(start_dim=1).sum(dim=1)


def _given(q: Tensor, p: Tensor) -> Tensor:
    """Return KL of the conditional distributions of the last axis given all others."""
    q, p = (table / table.sum(dim=-1, keepdim=True) for table in (q, p))
    return (torch.xlogy(q, q) - torch.xlogy(q, p)).sum(dim=-1)
