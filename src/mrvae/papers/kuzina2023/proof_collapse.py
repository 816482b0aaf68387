"""Propositions 1 and 2 of Kuzina & Tomczak 2023, on tables: collapse and independence.

Write I for information under the model, and z_C, z_B, z_A for the latents above a layer, at it and
below it. What is checked, over many random tables and some that are made for it:

*Proposition 1.* E KL(p(z_B | z_C, x) ‖ p(z_B | z_C)) and E KL(p(x | z_B, z_C) ‖ p(x | z_C)) are one
number, I(z_B; x | z_C): the posterior collapses if and only if x and z_B are independent given z_C.
Both are to be read where p is positive. At a value of z_B that its prior never takes the likelihood
may be anything.

*Proposition 2, first part, is not true as printed.* Independence given z_C does not make z_B
non-identifiable. Let z_A be a fair coin of its own, and x = z_A + z_B modulo 2: x is independent of
z_B, whose posterior is its prior, and still p(x | z_A, z_B) is certain where p(x | z_A) is a half.
No discreteness is needed: with Gaussian z_A, z_B and p(x = 1) = logistic(z_A z_B) it is the same.
The printed proof argues by paths of a graph, which takes for granted that variables without a path
between them are the only independent ones. What holds is the balance

    I(z_B; x | z_A, z_C) - I(z_B; x | z_C) = I(z_B; z_A | x, z_C) - I(z_B; z_A | z_C),

so that z_B is non-identifiable if it is independent of z_A and x together given z_C, as it is where
no path leads from it to x, or if there is no z_A (Wang et al. 2021).

*Proposition 2, second part.* Figure 7: x reads z_A and z_C only, but z_A reads z_B.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from mrvae.papers.checks import Check
from mrvae.papers.kuzina2023.proof_checks import ZERO, above, apart, largest, of, stream, vanishing
from mrvae.papers.kuzina2023.proof_tables import (
    Hierarchy,
    any_table,
    chain,
    collapse,
    dependence,
    divergence,
    gaussian_masked,
    identifiability,
    masked,
    one_level,
    severed,
    unused_value,
)

_PATH = "if no path leads from z_B to x"
_COLLAPSE, _DEPENDENCE, _IDENTIFIED = of(collapse), of(dependence), of(identifiability)


def proposition_1(tables: int) -> Iterator[Check]:
    """Compare collapse with conditional independence, where p is positive and elsewhere."""
    without_c = "z_C left out of the dependence"
    in_nats = apart(collapse, dependence), apart(collapse, _without_c)
    unused = "dependence, if z_B has a value without probability"
    counted = "that value counted too"
    yield from vanishing(
        "proposition 1",
        tables,
        ("collapse − dependence, in nats", any_table, in_nats[0], without_c, any_table, in_nats[1]),
        (f"collapse, {_PATH}", severed, _COLLAPSE, "z_A reads z_B", chain, _COLLAPSE),
        (
            "collapse, if z_A hides z_B from x",
            masked,
            _COLLAPSE,
            "z_A is not fair",
            _unfair,
            _COLLAPSE,
        ),
        (unused, unused_value, _DEPENDENCE, counted, unused_value, lambda m, q: _pointwise(m)),
    )


def proposition_2(tables: int) -> Iterator[Check]:
    """Check its second part, and what its first part needs."""
    balance = "balance of the four informations"
    left_out = "I(z_B; z_A | x, z_C) left out"
    printed = "as printed, if x and z_B are independent given z_C"
    level, difference = "collapse − identifiability, of one level", apart(collapse, identifiability)
    yield from vanishing(
        "proposition 2, first part",
        tables,
        (balance, any_table, _imbalance, left_out, any_table, _imbalance_less),
        (f"identifiability, {_PATH}", severed, _IDENTIFIED, printed, masked, _IDENTIFIED),
        (level, one_level, difference, "z_A below it", any_table, difference),
    )
    figure7 = "identifiability, in figure 7"
    yield from vanishing(
        "proposition 2, second part",
        tables,
        (figure7, chain, _IDENTIFIED, "x reads z_B too", any_table, _IDENTIFIED),
    )
    yield above(
        "proposition 2, second part",
        "dependence, in figure 7: x and z_A copy with 10% errors",
        dependence(_copies(0.1).joint),
        "z_A does not read z_B",
        dependence(_copies(0.5).joint),
    )


def counter_examples() -> Iterator[Check]:
    """Show hierarchies that are collapsed, and identifiable nevertheless."""
    drawn = stream(0)
    about = "proposition 2, first part, counter-example"
    die = masked(drawn), masked(drawn, fair=False), severed(drawn)
    gaussian = gaussian_masked(2.0), gaussian_masked(2.0, shift=1.0), gaussian_masked(0.0)
    for name, examples in (("z_A a fair die", die), ("Gaussian latents", gaussian)):
        example, asymmetric, independent = (each.joint for each in examples)
        broken = "z_A is not symmetric", collapse(asymmetric)
        yield Check(about, "collapse", name, collapse(example), ZERO, *broken)
        check, value = f"identifiability: {name}", identifiability(example)
        yield above(about, check, value, "x does not read z_B", identifiability(independent))


def _pointwise(m: Hierarchy) -> float:
    """Return the largest |p(x | z_B, z_C) - p(x | z_C)|, values without probability included."""
    likelihood = torch.einsum("cba,cbax->cbx", m.bottom, m.pixel)
    mean = torch.einsum("cb,cbx->cx", m.middle, likelihood)
    return largest(likelihood, mean[:, None])


def _without_c(joint: Tensor) -> float:
    return divergence(joint, of="x", given="b", less="")


def _unfair(drawn: torch.Generator) -> Hierarchy:
    return masked(drawn, fair=False)


def _explained(m: Hierarchy) -> float:
    """Return I(z_B; z_A | x, z_C)."""
    return divergence(m.joint, of="b", given="acx", less="cx")


def _balance(m: Hierarchy) -> float:
    """Return what is left of the balance of the first part of proposition 2."""
    before = divergence(m.joint, of="b", given="ac", less="c")
    return identifiability(m.joint) - dependence(m.joint) - _explained(m) + before


def _imbalance(m: Hierarchy, q: Tensor) -> float:
    return abs(_balance(m))


def _imbalance_less(m: Hierarchy, q: Tensor) -> float:
    return abs(_balance(m) + _explained(m))


def _copies(error: float) -> Hierarchy:
    """Return a fair bit z_B, z_A its copy with errors, and x the copy of z_A with as many."""
    copy = torch.tensor([[1 - error, error], [error, 1 - error]], dtype=torch.float64)
    half = torch.full((1, 2), 0.5, dtype=torch.float64)
    return Hierarchy(half.sum(dim=1), half, copy[None], copy.expand(1, 2, 2, 2))
