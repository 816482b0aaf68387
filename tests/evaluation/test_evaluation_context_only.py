"""A model without latents is evaluated like any other, and its collapse is not asked for."""

from __future__ import annotations

import pytest
import torch

from mrvae.data import Images
from mrvae.evaluation import evaluate, latent_units, unit_report
from mrvae.models.build import make_context_only
from mrvae.recipes.context import DCTSpec, FactorisedSpec, MidTreadSpec
from mrvae.recipes.context_only import ContextOnly
from mrvae.recipes.wavelet import LogisticImage


def test_both_bounds_are_one_number_and_the_units_are_those_of_the_context() -> None:
    stream = torch.Generator().manual_seed(0)
    x = torch.randint(0, 17, (30, 1, 8, 8), generator=stream, dtype=torch.uint8)
    model = make_context_only(
        ContextOnly(1, 8, DCTSpec(3, MidTreadSpec(0.3), FactorisedSpec()), LogisticImage(17))
    )
    model.context.fit(x)
    model.double()
    images = Images(x, "noise", "test", bins=17)
    report = evaluate(model, images, samples=3)
    with torch.no_grad():
        exact = -model.elbo(x).value
    assert torch.allclose(report.nats, exact, atol=1e-9)
    assert torch.allclose(report.importance_nats, exact, atol=1e-9)
    assert latent_units(model, images).units == (9,)
    with pytest.raises(ValueError, match="no cell of this model draws a latent"):
        unit_report(model, images)
