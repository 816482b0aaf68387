"""Norms of states: against models whose states are known, whatever the chunks."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from evaluation.deep import deep_model, digits
from mrvae.data import Images, normal
from mrvae.evaluation import state_norms
from mrvae.models import HVAE, Encoder

WIDTH = 16


@torch.no_grad()
def still(up: float = 1.0, down: float = 0.5) -> HVAE:
    """Return a model that adds nothing: up, every channel is the image; down, all are one bias."""
    model = deep_model().double()
    for parameter in model.parameters():
        parameter.zero_()
    names = dict(model.named_parameters())
    names["encoder.enter.weight"][:, :, 1, 1] = up
    names["decoder.modules_.0.bias"].fill_(down)
    return model


def test_a_state_to_which_nothing_is_added_is_the_image_on_its_ladder() -> None:
    images, model = digits(7), still(up=3.0)
    up, _ = state_norms(model, images)
    x = (images.take(torch.arange(7)).double() - 5.0) / 6.0
    assert up.sizes == (8, 8, 4, 4, 1)
    for size, mean, deviation in zip(up.sizes, up.means, up.deviations, strict=True):
        norms = functional.avg_pool2d(x, 8 // size).flatten(1).norm(dim=1) * 3.0 * WIDTH**0.5
        assert mean == pytest.approx(float(norms.mean()), rel=1e-12)
        assert deviation == pytest.approx(float(norms.std()), rel=1e-9)


def test_an_embedded_state_has_the_norm_of_a_constant_on_more_pixels() -> None:
    _, down = state_norms(still(down=0.5), digits(3))
    assert down.sizes == (1, 4, 4, 8, 8, 8)
    assert down.means == pytest.approx([0.5 * WIDTH**0.5 * size for size in down.sizes])
    assert down.deviations == pytest.approx([0.0] * 6, abs=1e-12)


def test_a_latent_is_in_the_state_that_it_leads_to() -> None:
    """With P z alone added at the top, ‖Z₁‖² is that of bias + P z, and all else follows."""
    model = still(down=0.5)
    with torch.no_grad():
        dict(model.named_parameters())["decoder.modules_.0.cells.0.project.weight"].fill_(0.7)
    images = digits(5)
    _, down = state_norms(model, images, seed=3)
    size = model.latent_noise_size
    noise = normal(3, 0, range(5), size, torch.device("cpu"), torch.float64)
    top = 0.5 + 0.7 * noise[:, :2].sum(dim=1)
    for side, mean in zip(down.sizes, down.means, strict=True):
        assert mean == pytest.approx(float(top.abs().mean()) * WIDTH**0.5 * side)


def test_norms_do_not_depend_on_the_chunks() -> None:
    model, images = deep_model().double(), digits(9)
    whole, pieces = state_norms(model, images), state_norms(model, images, memory=1)
    for a, b in zip(whole, pieces, strict=True):
        assert a.means == pytest.approx(b.means, rel=1e-12)
        assert a.deviations == pytest.approx(b.deviations, rel=1e-9)


def test_the_states_are_those_that_the_decoder_reads() -> None:
    """GELU of the last state of a level before its pooling block is the level's feature."""
    model = deep_model().double()
    encoder = model.encoder
    assert isinstance(encoder, Encoder)
    x = model.frame.prepare(digits(2).take(torch.arange(2)), torch.float64)
    states = list(encoder.states(x))
    features = {f.shape[-1]: f for f in encoder(x)}
    for index in (0, 2, 4):
        size, state = states[index]
        torch.testing.assert_close(functional.gelu(state), features[size])


def test_one_image_has_no_spread() -> None:
    images: Images = digits(1)
    for each in state_norms(deep_model(), images):
        assert set(each.deviations) == {0.0}
