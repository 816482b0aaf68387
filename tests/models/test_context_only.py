"""A model of a context only: its bound is exact, and its mean is the decoded context."""

from __future__ import annotations

import itertools
from typing import cast

import torch

from mrvae.distributions import Bins
from mrvae.models import HVAE
from mrvae.models.build import make_context_only
from mrvae.models.context.conditioner import ContextConditioner
from mrvae.recipes.context import AutoregressiveSpec, DCTSpec, FactorisedSpec, MidTreadSpec
from mrvae.recipes.context_only import ContextOnly
from mrvae.recipes.wavelet import LogisticImage


def stirred(model: HVAE, images: torch.Tensor) -> HVAE:
    """Return a model in double precision, fitted, with random weights."""
    stream = torch.Generator().manual_seed(4)
    model.context.fit(images)
    model.double()
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=stream, dtype=torch.float64)
            parameter.add_(0.3 * noise)
    return model


def every_image(bins: int) -> torch.Tensor:
    """Return all images of 2×2 pixels."""
    each = list(itertools.product(range(bins), repeat=4))
    return torch.tensor(each, dtype=torch.uint8).view(-1, 1, 2, 2)


def test_the_bound_lies_below_the_likelihood_of_every_image() -> None:
    x = every_image(3)
    spec = ContextOnly(
        1, 2, DCTSpec(2, MidTreadSpec(0.4), AutoregressiveSpec(8, 2)), LogisticImage(3)
    )
    model = stirred(make_context_only(spec), x)
    contexts = torch.unique(model.context.encode(x)[0], dim=0)
    with torch.no_grad():
        prior = -model.context.nats((contexts,), torch.zeros(len(contexts), 0), None)[:, 0]
        given = [
            model.likelihood((c[None].expand(len(x), -1, -1, -1),)).log_prob(x) for c in contexts
        ]
        # Contexts of no image have mass too, and only make p(x) larger.
        exact = torch.logsumexp(torch.stack(given) + prior[:, None], dim=0)
        elbo = model.elbo(x).value
    assert bool((elbo <= exact + 1e-12).all())
    assert 0.01 < float(elbo.exp().sum()) < float(exact.exp().sum()) <= 1 + 1e-12


def test_importance_weights_are_the_bound_since_nothing_is_drawn() -> None:
    x = every_image(3)[::7]
    spec = ContextOnly(1, 2, DCTSpec(2, MidTreadSpec(0.4), FactorisedSpec()), LogisticImage(3))
    model = stirred(make_context_only(spec), every_image(3))
    with torch.no_grad():
        weights, elbo = model.log_weights(x, samples=3), model.elbo(x).value
    assert torch.allclose(weights, elbo.expand(3, -1), atol=1e-12)


def test_with_narrow_pixels_the_reconstruction_is_the_decoded_context() -> None:
    stream = torch.Generator().manual_seed(0)
    x = torch.randint(0, 256, (20, 3, 8, 8), generator=stream, dtype=torch.uint8)
    model = make_context_only(
        ContextOnly(3, 8, DCTSpec(4, MidTreadSpec(0.2), FactorisedSpec(), ycbcr=True, chroma=2))
    )
    model.context.fit(x)
    with torch.no_grad():
        model.get_parameter("head.log_scale").fill_(-7.0)
        (c,) = model.context.encode(x)
        shown = Bins(256).to_bin(cast(ContextConditioner, model.context).transform.decode(c))
        assert int((model.reconstruct(x).int() - shown.int()).abs().max()) <= 1
        assert float((model.reconstruct(x) != shown).double().mean()) < 0.01


def test_frequencies_of_chrominance_beyond_those_kept_have_one_code() -> None:
    stream = torch.Generator().manual_seed(0)
    x = torch.randint(0, 256, (9, 3, 8, 8), generator=stream, dtype=torch.uint8)
    few, every = (
        make_context_only(
            ContextOnly(3, 8, DCTSpec(4, MidTreadSpec(0.2), FactorisedSpec(), ycbcr=True, chroma=n))
        ).context
        for n in (2, 0)
    )
    few.fit(x)
    every.fit(x)
    (c,), (d,) = few.encode(x), every.encode(x)
    kept = torch.zeros(3, 4, 4, dtype=torch.bool)
    kept[0], kept[1:, :2, :2] = True, True
    assert torch.equal(c[:, kept], d[:, kept])
    assert not bool(c[:, ~kept].any())
    assert bool(d[:, ~kept].any())
