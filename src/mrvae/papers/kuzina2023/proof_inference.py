"""The chain rule, appendix A and section 4.3 of Kuzina & Tomczak 2023, on tables.

*Chain rule.* KL(q(z | x) ‖ p(z | x)) of one x is the sum over layers of KL of the conditionals, the
expectation being over q(z_{>l} | x). Under q(z_{>l}, x), as printed, terms of one x are added to
means over all, which is true only in the mean over x.

*Appendix A.* KL(q ‖ p(z | x)) = ln p(x) - ELBO, and ln p(x) - E_p(z) ln p(x | z) at q = p(z).

*Section 4.3.* That the posterior is "proportional" to the prior makes it equal, since both sum to
one. Of a collapsed layer below a context z_C = f(x) by equation 7 its prior reads f(x); so
it does know of x, but nothing that the context has not: I(z_B; x) = I(z_B; z_C). And it is q of
the context that cannot collapse, not the true posterior: a decoder that ignores the context
has p(z_C | x) = p(z_C), at a gap of -ln p(f(x) | x).
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from mrvae.papers.checks import Check
from mrvae.papers.kuzina2023.proof_checks import above, largest, stream, vanishing
from mrvae.papers.kuzina2023.proof_tables import (
    Hierarchy,
    any_table,
    by_layers,
    conditioning,
    divergence,
    elbo,
    per_image,
    severed,
    without_context,
)


def chain_rule(tables: int) -> Iterator[Check]:
    """Compare KL(q ‖ p(z | x)) with the sum of its layers', under several expectations."""

    def at_each(m: Hierarchy, q: Tensor) -> float:
        return largest(per_image(q, m.posterior), _total(q, m.posterior, q))

    def under_p(m: Hierarchy, q: Tensor) -> float:
        return largest(per_image(q, m.posterior), _total(q, m.posterior, m.posterior))

    def as_printed(m: Hierarchy, q: Tensor) -> float:
        first, below = by_layers(q, m.posterior, q)
        return largest(per_image(q, m.posterior), first + below.mean())

    def in_the_mean(m: Hierarchy, q: Tensor) -> float:
        first, below = by_layers(q, m.posterior, q)
        return abs(float(per_image(q, m.posterior).mean() - first.mean() - below.mean()))

    def mean_under_p(m: Hierarchy, q: Tensor) -> float:
        first, below = by_layers(q, m.posterior, m.posterior)
        return abs(float(per_image(q, m.posterior).mean() - first.mean() - below.mean()))

    one, mean = "of one x, under q(z_>l | x)", "of x in the mean, under q(z_>l, x)"
    printed = "as printed, under q(z_>l, x)"
    yield from vanishing(
        "section 3, chain rule",
        tables,
        (one, any_table, at_each, printed, any_table, as_printed),
        (one, any_table, at_each, "under p(z_>l | x)", any_table, under_p),
        (mean, any_table, in_the_mean, "under p(z_>l, x)", any_table, mean_under_p),
    )


def appendix_a(tables: int) -> Iterator[Check]:
    """Measure the gap of the ELBO, and that of a collapsed q."""

    def gap(m: Hierarchy, q: Tensor) -> float:
        return largest(per_image(q, m.posterior), m.evidence.log() - elbo(m, q))

    def other_way(m: Hierarchy, q: Tensor) -> float:
        return largest(per_image(m.posterior, q), m.evidence.log() - elbo(m, q))

    def collapsed(m: Hierarchy, q: Tensor) -> float:
        return largest(per_image(m.prior, m.posterior), _explained(m, m.prior))

    def not_collapsed(m: Hierarchy, q: Tensor) -> float:
        return largest(per_image(q, m.posterior), _explained(m, q))

    about, gap_of_q = "appendix A", "KL(q ‖ p(z | x)) = ln p(x) − ELBO"
    of_prior = "KL(p(z) ‖ p(z | x)) = ln p(x) − E ln p(x | z)"
    yield from vanishing(
        about,
        tables,
        (gap_of_q, any_table, gap, "KL(p(z | x) ‖ q)", any_table, other_way),
        (of_prior, any_table, collapsed, "q is not the prior", any_table, not_collapsed),
    )
    dependent, independent = any_table(stream(1)), severed(stream(1))
    pixel = independent.pixel[:1, :, :1].expand_as(independent.pixel)
    unread = Hierarchy(independent.top, independent.middle, independent.bottom, pixel)
    yield above(
        about,
        "a collapsed q does not make the true posterior collapse: its gap",
        float(per_image(dependent.prior, dependent.posterior).min()),
        "x does not read z",
        float(per_image(unread.prior, unread.posterior).min()),
    )


def section_4(tables: int) -> Iterator[Check]:
    """Check what a context changes, and what it does not."""

    def more_than_context(m: Hierarchy, q: Tensor) -> float:
        joint = conditioning(m).joint
        own, above = (divergence(joint, of="b", given=given, less="") for given in "xc")
        return abs(own - above)

    def of_context(m: Hierarchy, q: Tensor) -> float:
        return divergence(m.joint, of="c", given="x", less="")

    def certain(m: Hierarchy, q: Tensor) -> float:
        return _certain(m, m.posterior)

    def certain_of_prior(m: Hierarchy, q: Tensor) -> float:
        return _certain(m, m.prior.expand_as(m.posterior))

    informed = "I(z_B; x) − I(z_B; z_C), if z_B collapses"
    unread = "I(z_C; x), if the decoder ignores z_C"
    exact = "gap of a certain q(z_C | x) = −ln p(f(x) | x)"
    more, collapses = more_than_context, "z_B does not collapse"
    yield from vanishing(
        "section 4.3, equation 7", tables, (informed, severed, more, collapses, any_table, more)
    )
    yield from vanishing(
        "section 4.3, the top latent",
        tables,
        (unread, without_context, of_context, "it is not", any_table, of_context),
        (exact, any_table, certain, "−ln p(f(x))", any_table, certain_of_prior),
    )


def _total(q: Tensor, p: Tensor, weight: Tensor) -> Tensor:
    """Return the sum of all terms of the chain rule for each x, of shape (X,)."""
    first, below = by_layers(q, p, weight)
    return first + below


def _explained(m: Hierarchy, q: Tensor) -> Tensor:
    """Return ln p(x) - E_q ln p(x | z) for each x."""
    return m.evidence.log() - (q * m.likelihood.log()).flatten(start_dim=1).sum(dim=1)


def _certain(m: Hierarchy, distribution: Tensor) -> float:
    """Return how far the gap of q = δ(z_C) p(z_B, z_A | z_C, x) is from -ln p of z_C."""
    apart = []
    for value in range(len(m.top)):
        q = torch.zeros_like(m.posterior)
        kept = m.posterior[:, value]
        q[:, value] = kept / kept.sum(dim=(1, 2), keepdim=True)
        gap = m.evidence.log() - elbo(m, q)
        apart.append(largest(gap, -distribution[:, value].sum(dim=(1, 2)).log()))
    return max(apart)
