"""Properties of pictures from few latents: their rate, and what the context alone shows."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

import mrvae
from mrvae.data import Picture, generator
from mrvae.data.patches import cut_patches, join_patches
from mrvae.evaluation import (
    Sketch,
    context_clipped,
    context_picture,
    psnr,
    sketch,
    sketches,
)
from mrvae.evaluation.rate_distortion.sketch import _word as word
from mrvae.models import HVAE, AutoregressivePrior
from mrvae.models.context.conditioner import ContextConditioner
from mrvae.papers.kuzina2023.cifar import made_up
from mrvae.recipes import override
from mrvae.resolution import DCT

PICTURE = Picture("p", made_up(40).pixels[:, :37])
TINY = ("model.width=4", "model.latent=1", "model.likelihood.components=1")
DCT_ = "kuzina2023-cifar10-small-dct"


def model(name: str, *changes: str, seen: Tensor | None = None) -> HVAE:
    """A tiny model with weights of its own, whose context was fitted to noise or what it saw."""
    torch.manual_seed(0)
    made = mrvae.build(override(mrvae.recipe(name), (*TINY, *changes)))
    made.context.fit(torch.randint(0, 256, (50, 3, 32, 32)).byte() if seen is None else seen)
    with torch.no_grad():
        for weight in made.parameters():
            weight.add_(torch.randn_like(weight), alpha=0.05)
    return made


def test_the_rate_of_an_explicit_context_is_the_length_of_its_file() -> None:
    """Bits per pixel times pixels are Σ -log₂ p(c) over patches, each by itself."""
    explicit = model(f"{DCT_}-explicit", "context.prior.hidden=16")
    found = sketch(explicit, PICTURE, keep=1)
    contexts = [
        explicit.context.encode(patch[None])[0] for patch in cut_patches(PICTURE.pixels, 32)
    ]
    assert isinstance(explicit.context, ContextConditioner)
    prior = explicit.context.prior
    assert isinstance(prior, AutoregressivePrior)
    bits = -math.fsum(prior.log_pmf(c).item() for c in contexts) / math.log(2)
    assert found.bpp * 37 * 40 == pytest.approx(bits, rel=1e-5)


def test_the_rate_of_latents_is_their_kl() -> None:
    plain = model("kuzina2023-cifar10-small-vdvae")
    one, two, all_ = (sketch(plain, PICTURE, keep) for keep in (1, 2, plain.stochastic_depth))
    torch.testing.assert_close(two.nats[:1], one.nats)
    torch.testing.assert_close(all_.nats[:2], two.nats)
    assert (all_.nats > 0).all()
    assert two.bpp == pytest.approx(float(two.nats.sum()) / (math.log(2) * 37 * 40))


@pytest.mark.parametrize("name", ["vdvae", "dct-explicit"])
def test_the_nats_are_those_of_the_bound(name: str) -> None:
    made = model(f"kuzina2023-cifar10-small-{name}")
    patches = cut_patches(PICTURE.pixels, 32)
    noise = made.noise(len(patches), generator(0, 0, word("p")))
    with torch.no_grad():
        kl = made.elbo(patches, noise).kl.double().sum(0)
    for keep in (1, 2, 3):
        found = sketches(made, PICTURE, keep, (0.0, 0.1))
        for each in found:
            torch.testing.assert_close(each.nats, kl[:keep])
        assert torch.equal(found[0].pixels, sketch(made, PICTURE, keep, 0.0).pixels)
        assert torch.equal(found[1].pixels, sketch(made, PICTURE, keep, 0.1).pixels)


def test_a_picture_is_a_function_of_its_name_and_the_seed() -> None:
    plain = model("kuzina2023-cifar10-small-vdvae")
    first, again = (sketch(plain, PICTURE, 2, temperature=1.0) for _ in range(2))
    assert torch.equal(first.pixels, again.pixels)
    others = (
        sketch(plain, PICTURE, 2, temperature=1.0, seed=1),
        sketch(plain, Picture("q", PICTURE.pixels), 2, temperature=1.0),
    )
    assert not any(torch.equal(first.pixels, other.pixels) for other in others)


def test_the_mean_of_the_prior_is_one_picture_for_a_context() -> None:
    """With only the context kept, and no noise below it, nothing is drawn."""
    explicit = model(f"{DCT_}-explicit", "context.prior.hidden=16")
    one, two = (sketch(explicit, PICTURE, 1, 0.0, seed).pixels for seed in (0, 1))
    assert torch.equal(one, two)
    patches = explicit.reconstruct(cut_patches(PICTURE.pixels, 32), keep=1)
    assert torch.equal(one, join_patches(patches, 37, 40))


def algorithm_2(picture: Tensor, size: int) -> Tensor:
    """The picture from size × size frequencies of its patches, not quantised."""
    patches = cut_patches(picture, 32).double()
    kept = DCT(size).synthesis(DCT(size).analysis(patches), 32, 32)
    return join_patches(kept.round().clamp(0, 255).byte(), *picture.shape[1:])


def test_the_context_alone_is_algorithm_2_where_its_steps_are_fine() -> None:
    changes = ("model.context.quantiser=mid_tread", "quantiser.step=1e-4")
    fine = model(DCT_, *changes, seen=cut_patches(PICTURE.pixels, 32))
    expected = algorithm_2(PICTURE.pixels, 6).int()
    assert context_clipped(fine, PICTURE) == 0
    assert context_clipped(model(DCT_, *changes), PICTURE) > 0
    found = context_picture(fine, PICTURE).int()
    assert (found - expected).abs().max() <= 1
    assert (found != expected).float().mean() < 0.01


def test_coarser_steps_cost_psnr() -> None:
    def at(step: str) -> float:
        made = model(DCT_, "model.context.quantiser=mid_tread", f"quantiser.step={step}")
        return psnr(context_picture(made, PICTURE), PICTURE.pixels)

    values = [at(step) for step in ("0.001", "0.5", "2", "8")]
    assert values == sorted(values, reverse=True)


def test_what_a_model_does_not_have_is_refused() -> None:
    plain = model("kuzina2023-cifar10-small-vdvae")
    with pytest.raises(ValueError, match="no context"):
        context_picture(plain, PICTURE)
    with pytest.raises(ValueError, match="keep"):
        sketch(plain, PICTURE, keep=0)
    with pytest.raises(ValueError, match="shape"):
        sketch(plain, Picture("grey", PICTURE.pixels[:1]), keep=1)


def test_bits_per_pixel_count_pixels_once() -> None:
    nats = torch.tensor([math.log(2.0), math.log(8.0)], dtype=torch.float64)
    assert Sketch(torch.zeros(3, 2, 2), nats).bpp == pytest.approx(1.0)
