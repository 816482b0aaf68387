"""The propositions on tables: all checks hold, and the tables are what their names say."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from helpers.items import made
from helpers.members import for_all
from mrvae.papers.kuzina2023 import proof_tables as tables
from mrvae.papers.kuzina2023 import proofs
from mrvae.papers.outcome import Outcome
from mrvae.papers.workspace import Workspace


@pytest.fixture(scope="module")
def outcome() -> Outcome:
    return made(proofs.ITEM, Workspace(Path("nowhere"), "smoke", quiet=True))


def stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_every_check_holds_and_fails_without_its_hypothesis(outcome: Outcome) -> None:
    assert len(outcome.rows) > 20
    assert [row for row in outcome.rows if not row["holds"]] == []
    assert [row for row in outcome.rows if row["wrong_holds"]] == []
    assert all(row["kind"] == "law" for row in outcome.rows)
    assert outcome.findings[0].startswith(f"{len(outcome.rows)} of {len(outcome.rows)} laws hold")


def test_what_is_not_true_as_printed_is_said(outcome: Outcome) -> None:
    said = "\n".join(outcome.findings)
    assert "proposition 2, first part, as printed, if x and z_B are independent" in said
    assert "chain rule, as printed, under q(z_>l, x): not true" in said
    assert "counter-example: identifiability: Gaussian latents is 0.16" in said


def test_two_bits_and_their_sum_are_collapsed_and_identifiable() -> None:
    """The counter-example by hand: 0 nats of x given z_B, and ln 2 given both."""
    half, x = torch.full((1, 2), 0.5, dtype=torch.float64), torch.zeros(1, 2, 2, 2)
    for a, b in ((0, 0), (0, 1), (1, 0), (1, 1)):
        x[0, b, a, a ^ b] = 1
    model = tables.Hierarchy(half.sum(1), half, half.expand(1, 2, 2), x.double())
    assert tables.collapse(model.joint) == pytest.approx(0, abs=1e-15)
    assert tables.dependence(model.joint) == pytest.approx(0, abs=1e-15)
    assert tables.identifiability(model.joint) == pytest.approx(math.log(2))


@for_all("seed", range(3))
def test_divergences_are_those_of_numpys_sums(seed: int) -> None:
    """Against loops over conditional distributions, each normalised by itself."""
    p = tables.any_table(stream(seed)).joint.numpy()
    assert p.sum() == pytest.approx(1)
    found = 0.0
    for c, x in np.ndindex(p.shape[0], p.shape[3]):
        inside = p[c, :, :, x].sum(axis=1)
        prior = p[c].sum(axis=(1, 2))
        posterior = inside / inside.sum()
        found += inside.sum() * (posterior * np.log(posterior / (prior / prior.sum()))).sum()
    assert tables.collapse(torch.as_tensor(p)) == pytest.approx(found, rel=1e-12)
    found = 0.0
    for c, b, a in np.ndindex(p.shape[:3]):
        given, mean = p[c, b, a], p[c, :, a].sum(axis=0)
        shares = given / given.sum()
        found += given.sum() * (shares * np.log(shares / (mean / mean.sum()))).sum()
    assert tables.identifiability(torch.as_tensor(p)) == pytest.approx(found, rel=1e-12)


@for_all("seed", range(3))
def test_a_context_that_its_decoder_writes_is_certain(seed: int) -> None:
    joint = tables.conditioning(tables.any_table(stream(seed))).joint
    posterior = tables.marginal(joint, "cx") / tables.marginal(joint, "x")
    assert posterior.amax(dim=0).min().item() == pytest.approx(1, abs=1e-12)


def test_the_elbo_at_the_true_posterior_is_the_evidence() -> None:
    model = tables.any_table(stream())
    evidence = tables.elbo(model, model.posterior)
    torch.testing.assert_close(evidence, model.evidence.log(), rtol=1e-12, atol=1e-12)
    assert (tables.elbo(model, tables.any_posterior(stream(1))) < evidence - 0.1).all()
