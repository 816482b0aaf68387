"""Propositions 1 and 2, the chain rule and appendix A of Kuzina & Tomczak 2023, on tables.

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

*Chain rule.* KL(q(z | x) ‖ p(z | x)) of one x is the sum over layers of KL of the conditionals, the
expectation being over q(z_{>l} | x). Under q(z_{>l}, x), as printed, terms of one x are added to
means over all, which is true only in the mean over x.

*Appendix A.* KL(q ‖ p(z | x)) = ln p(x) - ELBO, and ln p(x) - E_p(z) ln p(x | z) at q = p(z).

*Section 4.3.* That the posterior is "proportional" to the prior makes it equal, since both sum to
one. Of a collapsed layer below a context z_C = f(x) equation 7 says that its prior reads f(x); so
it does know of x, but nothing that the context has not: I(z_B; x) = I(z_B; z_C). And it is q of
the context that cannot collapse, not the true posterior: a decoder that does not hear the context
has p(z_C | x) = p(z_C), at a gap of -ln p(f(x) | x).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from mrvae.papers.checks import Check
from mrvae.papers.kuzina2023.proof_tables import (
    Hierarchy,
    any_posterior,
    any_table,
    by_layers,
    chain,
    collapse,
    deaf,
    dependence,
    divergence,
    elbo,
    gaussian_masked,
    identifiability,
    masked,
    one_level,
    per_image,
    severed,
    told,
    unused_value,
)

# Sums of a few hundred terms of float64.
_ZERO = 1e-12
# What is called different from zero, in nats.
_SOME = 0.01

Draw = Callable[[torch.Generator], Hierarchy]
Measure = Callable[[Hierarchy, Tensor], float]


def all_checks(tables: int) -> list[Check]:
    """Return every check, made on this many random tables each."""
    return [
        *proposition_1(tables),
        *proposition_2(tables),
        *counter_examples(),
        *chain_rule(tables),
        *appendix_a(tables),
        *section_4(tables),
    ]


def proposition_1(tables: int) -> Iterator[Check]:
    """Compare collapse with conditional independence, where p is positive and elsewhere."""
    yield _law(
        *("proposition 1", "collapse − dependence, in nats", tables),
        *(any_table, lambda m, q: abs(collapse(m.joint) - dependence(m.joint))),
        "z_C left out of the dependence",
        wrong=lambda m, q: abs(collapse(m.joint) - divergence(m.joint, of="x", given="b", less="")),
    )
    yield _law(
        *("proposition 1", "collapse, if no path leads from z_B to x", tables),
        *(severed, lambda m, q: collapse(m.joint)),
        *("z_A reads z_B", chain),
    )
    yield _law(
        *("proposition 1", "collapse, if z_A hides z_B from x", tables),
        *(masked, lambda m, q: collapse(m.joint)),
        *("z_A is not fair", lambda stream: masked(stream, fair=False)),
    )
    yield _law(
        *("proposition 1", "dependence, if z_B has a value without probability", tables),
        *(unused_value, lambda m, q: dependence(m.joint)),
        "that value counted too",
        wrong=lambda m, q: _pointwise(m),
    )


def proposition_2(tables: int) -> Iterator[Check]:
    """Check its second part, and what its first part needs."""
    yield _law(
        *("proposition 2, first part", "balance of the four informations", tables),
        *(any_table, lambda m, q: abs(_balance(m))),
        "I(z_B; z_A | x, z_C) left out",
        wrong=lambda m, q: abs(_balance(m) + divergence(m.joint, of="b", given="acx", less="cx")),
    )
    yield _law(
        *("proposition 2, first part", "identifiability, if no path leads from z_B to x", tables),
        *(severed, lambda m, q: identifiability(m.joint)),
        *("as printed, if x and z_B are independent given z_C", masked),
    )
    yield _law(
        *("proposition 2, first part", "collapse − identifiability, of one level", tables),
        *(one_level, lambda m, q: abs(collapse(m.joint) - identifiability(m.joint))),
        *("z_A below it", any_table),
    )
    yield _law(
        *("proposition 2, second part", "identifiability, in figure 7", tables),
        *(chain, lambda m, q: identifiability(m.joint)),
        *("x reads z_B too", any_table),
    )
    yield _above(
        *("proposition 2, second part", "dependence, in figure 7: x and z_A copy with 10% errors"),
        *(dependence(_copies(0.1).joint), "z_A does not read z_B", dependence(_copies(0.5).joint)),
    )


def counter_examples() -> Iterator[Check]:
    """Show hierarchies that are collapsed, and identifiable nevertheless."""
    stream = _stream(0)
    about = "proposition 2, first part, counter-example"
    examples: tuple[tuple[str, Hierarchy, Hierarchy, Hierarchy], ...] = (
        ("z_A a fair die", masked(stream), masked(stream, fair=False), severed(stream)),
        (
            "Gaussian latents",
            gaussian_masked(2.0),
            gaussian_masked(2.0, shift=1.0),
            gaussian_masked(0.0),
        ),
    )
    for name, example, seen, silent in examples:
        yield Check(
            *(about, "collapse", name, collapse(example.joint), _ZERO),
            *("z_A is not symmetric", collapse(seen.joint)),
        )
        yield _above(
            *(about, f"identifiability: {name}", identifiability(example.joint)),
            *("x does not read z_B", identifiability(silent.joint)),
        )


def chain_rule(tables: int) -> Iterator[Check]:
    """Compare KL(q ‖ p(z | x)) with the sum of its layers', under several expectations."""

    def at_each(m: Hierarchy, q: Tensor) -> float:
        return _largest(per_image(q, m.posterior), sum(by_layers(q, m.posterior, q)))

    def under_p(m: Hierarchy, q: Tensor) -> float:
        return _largest(per_image(q, m.posterior), sum(by_layers(q, m.posterior, m.posterior)))

    def as_printed(m: Hierarchy, q: Tensor) -> float:
        first, below = by_layers(q, m.posterior, q)
        return _largest(per_image(q, m.posterior), first + below.mean())

    def in_the_mean(m: Hierarchy, q: Tensor) -> float:
        first, below = by_layers(q, m.posterior, q)
        return abs(float(per_image(q, m.posterior).mean() - first.mean() - below.mean()))

    def mean_under_p(m: Hierarchy, q: Tensor) -> float:
        first, below = by_layers(q, m.posterior, m.posterior)
        return abs(float(per_image(q, m.posterior).mean() - first.mean() - below.mean()))

    about = "section 3, chain rule"
    for check, right, wrong, operator in (
        ("of one x, under q(z_>l | x)", at_each, as_printed, "as printed, under q(z_>l, x)"),
        ("of one x, under q(z_>l | x)", at_each, under_p, "under p(z_>l | x)"),
        ("of x in the mean, under q(z_>l, x)", in_the_mean, mean_under_p, "under p(z_>l, x)"),
    ):
        yield _law(about, check, tables, any_table, right, operator, wrong=wrong)


def appendix_a(tables: int) -> Iterator[Check]:
    """Measure the gap of the ELBO, and that of a collapsed q."""

    def gap(m: Hierarchy, q: Tensor) -> float:
        return _largest(per_image(q, m.posterior), m.evidence.log() - elbo(m, q))

    def other_way(m: Hierarchy, q: Tensor) -> float:
        return _largest(per_image(m.posterior, q), m.evidence.log() - elbo(m, q))

    def collapsed(m: Hierarchy, q: Tensor) -> float:
        return _largest(per_image(m.prior, m.posterior), _explained(m, m.prior))

    def not_collapsed(m: Hierarchy, q: Tensor) -> float:
        return _largest(per_image(q, m.posterior), _explained(m, q))

    about = "appendix A"
    yield _law(
        *(about, "KL(q ‖ p(z | x)) = ln p(x) − ELBO", tables, any_table, gap),
        *("KL(p(z | x) ‖ q)",),
        wrong=other_way,
    )
    yield _law(
        *(about, "KL(p(z) ‖ p(z | x)) = ln p(x) − E ln p(x | z)", tables, any_table, collapsed),
        "q is not the prior",
        wrong=not_collapsed,
    )
    heard, shut = any_table(_stream(1)), severed(_stream(1))
    pixel = shut.pixel[:1, :, :1].expand_as(shut.pixel)
    silent = Hierarchy(shut.top, shut.middle, shut.bottom, pixel)
    yield _above(
        *(about, "a collapsed q does not make the true posterior collapse: its gap"),
        *(float(per_image(heard.prior, heard.posterior).min()), "x does not read z"),
        float(per_image(silent.prior, silent.posterior).min()),
    )


def section_4(tables: int) -> Iterator[Check]:
    """Tell what a context changes, and what it does not."""

    def more_than_context(m: Hierarchy, q: Tensor) -> float:
        seen = told(m).joint
        own, above = (divergence(seen, of="b", given=given, less="") for given in "xc")
        return abs(own - above)

    yield _law(
        *("section 4.3, equation 7", "I(z_B; x) − I(z_B; z_C), if z_B collapses", tables),
        *(severed, more_than_context, "z_B does not collapse", any_table),
    )
    yield _law(
        *("section 4.3, the top latent", "I(z_C; x), if the decoder is deaf to z_C", tables),
        *(deaf, lambda m, q: divergence(m.joint, of="c", given="x", less="")),
        *("it is not", any_table),
    )
    yield _law(
        *("section 4.3, the top latent", "gap of a certain q(z_C | x) = −ln p(f(x) | x)", tables),
        *(any_table, lambda m, q: _certain(m, m.posterior)),
        "−ln p(f(x))",
        wrong=lambda m, q: _certain(m, m.prior.expand_as(m.posterior)),
    )


# ------------------------------------------------------------------------------------- the parts


def _law(
    about: str,
    check: str,
    tables: int,
    draw: Draw,
    measure: Measure,
    operator: str,
    draw_wrong: Draw | None = None,
    wrong: Measure | None = None,
) -> Check:
    """Check that the largest of a measure over random tables is zero.

    The wrong twin has other tables, or another measure. Its smallest over the tables counts, so
    that it fails on every one of them.
    """
    found = [measure(draw(_stream(seed)), _posterior(seed)) for seed in range(tables)]
    other, twin = draw_wrong or draw, wrong or measure
    failed = [twin(other(_stream(seed)), _posterior(seed)) for seed in range(tables)]
    return Check(about, check, f"{tables} random tables", max(found), _ZERO, operator, min(failed))


def _above(about: str, check: str, value: float, operator: str, wrong: float) -> Check:
    """Check that a number of nats is not zero."""
    return Check(about, check, "one table", _SOME, value, operator, _SOME, wrong)


def _pointwise(m: Hierarchy) -> float:
    """Return the largest |p(x | z_B, z_C) - p(x | z_C)|, values without probability included."""
    likelihood = torch.einsum("cba,cbax->cbx", m.bottom, m.pixel)
    mean = torch.einsum("cb,cbx->cx", m.middle, likelihood)
    return _largest(likelihood, mean[:, None])


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


def _explained(m: Hierarchy, q: Tensor) -> Tensor:
    """Return ln p(x) - E_q ln p(x | z) for each x."""
    return m.evidence.log() - (q * m.likelihood.log()).flatten(start_dim=1).sum(dim=1)


def _certain(m: Hierarchy, law: Tensor) -> float:
    """Return how far the gap of q = δ(z_C) p(z_B, z_A | z_C, x) is from -ln of a law of z_C."""
    apart = []
    for value in range(len(m.top)):
        q = torch.zeros_like(m.posterior)
        kept = m.posterior[:, value]
        q[:, value] = kept / kept.sum(dim=(1, 2), keepdim=True)
        gap = m.evidence.log() - elbo(m, q)
        apart.append(_largest(gap, -law[:, value].sum(dim=(1, 2)).log()))
    return max(apart)


def _largest(one: Tensor, other: Tensor) -> float:
    return float((one - other).abs().max())


def _stream(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _posterior(seed: int) -> Tensor:
    return any_posterior(_stream(1_000_000 + seed))
