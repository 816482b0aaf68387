"""Propositions 1 and 2 of Kuzina & Tomczak 2023, on tables: collapse and independence.

Write I for information under the model, and z_C, z_B, z_A for the latents above a layer, at it and
below it. What is checked, over many random tables and some that are made for it:

*Proposition 1.* E KL(p(z_B | z_C, x) ‖ p(z_B | z_C)) and E KL(p(x | z_B, z_C) ‖ p(x | z_C)) are one
number, I(z_B; x | z_C): the posterior collapses if and only if x and z_B are independent given z_C.
Both are to be read where p is positive. At a value of z_B that its prior never takes the likelihood
may be anything.

*Proposition 2, first part, is not true as printed.* Independence given z_C does not make z_B
non-identifiable. Let z_A be a fair coin of its own, and x = z_A + z_B modulo 2: x tells nothing of
z_B, whose posterior is its prior, and still p(x | z_A, z_B) is certain where p(x | z_A) is a half.
No discreteness is needed: with Gaussian z_A, z_B and p(x = 1) = logistic(z_A z_B) it is the same.
The printed proof argues by paths of a graph, which takes for granted that variables without a path
between them are the only independent ones. What holds is the balance

    I(z_B; x | z_A, z_C) - I(z_B; x | z_C) = I(z_B; z_A | x, z_C) - I(z_B; z_A | z_C),

so that z_B is non-identifiable if it is independent of z_A and x together given z_C, as it is where
no path leads from it to x, or if there is no z_A (Wang et al. 2021).

*Proposition 2, second part.* Figure 7: x reads z_A and z_C alone, but z_A reads z_B.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

from mrvae.papers.checks import Check
from mrvae.papers.kuzina2023.proof_checks import ZERO, above, largest, stream, vanishes
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


def proposition_1(tables: int) -> Iterator[Check]:
    """Compare collapse with conditional independence, where p is positive and elsewhere."""
    yield vanishes(
        "proposition 1",
        "collapse − dependence, in nats",
        tables,
        any_table,
        lambda m, q: abs(collapse(m.joint) - dependence(m.joint)),
        "z_C left out of the dependence",
        wrong=lambda m, q: abs(collapse(m.joint) - divergence(m.joint, of="x", given="b", less="")),
    )
    yield vanishes(
        "proposition 1",
        "collapse, if no path leads from z_B to x",
        tables,
        severed,
        lambda m, q: collapse(m.joint),
        "z_A reads z_B",
        chain,
    )
    yield vanishes(
        "proposition 1",
        "collapse, if z_A hides z_B from x",
        tables,
        masked,
        lambda m, q: collapse(m.joint),
        "z_A is not fair",
        lambda drawn: masked(drawn, fair=False),
    )
    yield vanishes(
        "proposition 1",
        "dependence, if z_B has a value without probability",
        tables,
        unused_value,
        lambda m, q: dependence(m.joint),
        "that value counted too",
        wrong=lambda m, q: _pointwise(m),
    )


def proposition_2(tables: int) -> Iterator[Check]:
    """Check its second part, and what its first part needs."""
    yield vanishes(
        "proposition 2, first part",
        "balance of the four informations",
        tables,
        any_table,
        lambda m, q: abs(_balance(m)),
        "I(z_B; z_A | x, z_C) left out",
        wrong=lambda m, q: abs(_balance(m) + divergence(m.joint, of="b", given="acx", less="cx")),
    )
    yield vanishes(
        "proposition 2, first part",
        "identifiability, if no path leads from z_B to x",
        tables,
        severed,
        lambda m, q: identifiability(m.joint),
        "as printed, if x and z_B are independent given z_C",
        masked,
    )
    yield vanishes(
        "proposition 2, first part",
        "collapse − identifiability, of one level",
        tables,
        one_level,
        lambda m, q: abs(collapse(m.joint) - identifiability(m.joint)),
        "z_A below it",
        any_table,
    )
    yield vanishes(
        "proposition 2, second part",
        "identifiability, in figure 7",
        tables,
        chain,
        lambda m, q: identifiability(m.joint),
        "x reads z_B too",
        any_table,
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
    examples: tuple[tuple[str, Hierarchy, Hierarchy, Hierarchy], ...] = (
        ("z_A a fair die", masked(drawn), masked(drawn, fair=False), severed(drawn)),
        (
            "Gaussian latents",
            gaussian_masked(2.0),
            gaussian_masked(2.0, shift=1.0),
            gaussian_masked(0.0),
        ),
    )
    for name, example, seen, silent in examples:
        yield Check(
            about,
            "collapse",
            name,
            collapse(example.joint),
            ZERO,
            "z_A is not symmetric",
            collapse(seen.joint),
        )
        yield above(
            about,
            f"identifiability: {name}",
            identifiability(example.joint),
            "x does not read z_B",
            identifiability(silent.joint),
        )


def _pointwise(m: Hierarchy) -> float:
    """Return the largest |p(x | z_B, z_C) - p(x | z_C)|, values without probability included."""
    likelihood = torch.einsum("cba,cbax->cbx", m.bottom, m.pixel)
    mean = torch.einsum("cb,cbx->cx", m.middle, likelihood)
    return largest(likelihood, mean[:, None])


def _balance(m: Hierarchy) -> float:
    """Return what is left of the balance of the first part of proposition 2."""
    explained = divergence(m.joint, of="b", given="acx", less="cx")
    before = divergence(m.joint, of="b", given="ac", less="c")
    return identifiability(m.joint) - dependence(m.joint) - explained + before


def _copies(error: float) -> Hierarchy:
    """Return a fair bit z_B, z_A its copy with errors, and x the copy of z_A with as many."""
    copy = torch.tensor([[1 - error, error], [error, 1 - error]], dtype=torch.float64)
    half = torch.full((1, 2), 0.5, dtype=torch.float64)
    return Hierarchy(half.sum(dim=1), half, copy[None], copy.expand(1, 2, 2, 2))
