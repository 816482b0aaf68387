"""The chain rule, appendix A and section 4.3 of Kuzina & Tomczak 2023, on tables.

*Chain rule.* KL(q(z | x) ‖ p(z | x)) of one x is the sum over layers of KL of the conditionals, the
expectation being over q(z_{>l} | x). Under q(z_{>l}, x), as printed, terms of one x are added to
means over all, which is true only in the mean over x.

*Appendix A.* KL(q ‖ p(z | x)) = ln p(x) - ELBO, and ln p(x) - E_p(z) ln p(x | z) at q = p(z).

*Section 4.3.* That the posterior is "proportional" to the prior makes it equal, since both sum to
one. Of a collapsed layer below a context z_C = f(x) equation 7 says that its prior reads f(x); so
it does know of x, but nothing that the context has not: I(z_B; x) = I(z_B; z_C). And it is q of
the context that cannot collapse, not the true posterior: a decoder that ignores the context
has p(z_C | x) = p(z_C), at a gap of -ln p(f(x) | x).
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from mrvae.papers.checks import Check
from mrvae.papers.kuzina2023.proof_checks import above, largest, stream, vanishes
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

    about = "section 3, chain rule"
    for check, right, wrong, operator in (
        ("of one x, under q(z_>l | x)", at_each, as_printed, "as printed, under q(z_>l, x)"),
        ("of one x, under q(z_>l | x)", at_each, under_p, "under p(z_>l | x)"),
        ("of x in the mean, under q(z_>l, x)", in_the_mean, mean_under_p, "under p(z_>l, x)"),
    ):
        yield vanishes(about, check, tables, any_table, right, operator, wrong=wrong)


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

    about = "appendix A"
    yield vanishes(
        about,
        "KL(q ‖ p(z | x)) = ln p(x) − ELBO",
        tables,
        any_table,
        gap,
        "KL(p(z | x) ‖ q)",
        wrong=other_way,
    )
    yield vanishes(
        about,
        "KL(p(z) ‖ p(z | x)) = ln p(x) − E ln p(x | z)",
        tables,
        any_table,
        collapsed,
        "q is not the prior",
        wrong=not_collapsed,
    )
    heard, shut = any_table(stream(1)), severed(stream(1))
    pixel = shut.pixel[:1, :, :1].expand_as(shut.pixel)
    silent = Hierarchy(shut.top, shut.middle, shut.bottom, pixel)
    yield above(
        about,
        "a collapsed q does not make the true posterior collapse: its gap",
        float(per_image(heard.prior, heard.posterior).min()),
        "x does not read z",
        float(per_image(silent.prior, silent.posterior).min()),
    )


def section_4(tables: int) -> Iterator[Check]:
    """Check what a context changes, and what it does not."""

    def more_than_context(m: Hierarchy, q: Tensor) -> float:
        seen = conditioning(m).joint
        own, above = (divergence(seen, of="b", given=given, less="") for given in "xc")
        return abs(own - above)

    yield vanishes(
        "section 4.3, equation 7",
        "I(z_B; x) − I(z_B; z_C), if z_B collapses",
        tables,
        severed,
        more_than_context,
        "z_B does not collapse",
        any_table,
    )
    yield vanishes(
        "section 4.3, the top latent",
        "I(z_C; x), if the decoder is deaf to z_C",
        tables,
        without_context,
        lambda m, q: divergence(m.joint, of="c", given="x", less=""),
        "it is not",
        any_table,
    )
    yield vanishes(
        "section 4.3, the top latent",
        "gap of a certain q(z_C | x) = −ln p(f(x) | x)",
        tables,
        any_table,
        lambda m, q: _certain(m, m.posterior),
        "−ln p(f(x))",
        wrong=lambda m, q: _certain(m, m.prior.expand_as(m.posterior)),
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
