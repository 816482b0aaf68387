from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from evaluation.deep import deep_model, digits
from evaluation.linear_gaussian import Conditionals, Problem, pictures, problem, standardised
from mrvae.evaluation import evaluate, latent_units, layer_nats
from mrvae.evaluation.memory import row_bytes

IMAGES = pictures(50)


def factors(inside: list[list[float]], outside: list[float]) -> Problem:
    """A posterior whose unit l reads outside[l] standard deviations of the first pixel."""
    first = standardised(IMAGES.tensor())[:, 0]
    weights = torch.zeros(3, 4, dtype=torch.float64)
    weights[:, 0] = torch.tensor(outside, dtype=torch.float64) / first.std(correction=0)
    scale, offset = torch.ones(3, dtype=torch.float64), torch.full((3,), 5.0, dtype=torch.float64)
    above = torch.tensor(inside, dtype=torch.float64)
    return replace(problem(), posterior=Conditionals(above, weights, offset, scale))


NOTHING = [[0.0, 0.0, 0.0]] * 3


@pytest.mark.parametrize(
    ("outside", "active"),
    [
        ([1.0, 0.0, 1.0], (1, 0, 1)),
        ([0.0, 0.0, 0.0], (0, 0, 0)),
        ([0.1001, 0.0999, -0.1001], (1, 0, 1)),
    ],
)
def test_a_unit_is_active_above_a_variance_of_one_hundredth(
    outside: list[float], active: tuple[int, ...]
) -> None:
    units = latent_units(factors(NOTHING, outside).model(), IMAGES)
    assert units.active == active
    assert units.units == (1, 1, 1)
    assert units.summary() == {"active_units": sum(active), "latent_units": 3}


def test_a_unit_that_copies_its_parents_noise_is_not_active() -> None:
    chain = [[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    assert latent_units(factors(chain, [0.0, 0.0, 0.0]).model(), IMAGES).active == (0, 0, 0)


def test_a_unit_that_hands_the_image_on_is_active() -> None:
    chain = [[0.0, 0.0, 0.0], [0.5, 0.0, 0.0], [0.0, 0.0, 0.0]]
    assert latent_units(factors(chain, [0.3, 0.0, 0.0]).model(), IMAGES).active == (1, 1, 0)


def test_units_are_those_of_the_whole_set_whatever_the_chunks() -> None:
    """The last of 50 images alone moves the unit over the threshold."""
    for rows in [1, 7, 64]:
        x = torch.full((50, 1, 2, 2), 128, dtype=torch.uint8)
        x[-1, 0, 0, 0] = 128 + 32
        images = replace(IMAGES, pixels=x)
        model = factors(NOTHING, [0.0, 0.0, 0.0]).model()
        for size, active in ((0.72, 1), (0.70, 0)):
            with torch.no_grad():
                cell = dict(model.named_modules())["decoder.modules_.1.cell"]
                cell.get_parameter("weight")[1] = size
            # The variance is size² · (1/50) · (49/50).
            found = latent_units(model, images, memory=rows * row_bytes(model))
            assert found.active == (0, active, 0)


def test_units_are_counted_by_layer() -> None:
    """In a deep model, against the variance of encode's means over all images at once."""
    model, images = deep_model(), digits(20)
    with torch.no_grad():
        latents = model.encode(images.take(torch.arange(20)))
    expected = [int((z.double().var(dim=0, correction=0) > 0.01).sum()) for z in latents]
    units = latent_units(model, images, memory=6 * row_bytes(model))
    assert list(units.active) == expected
    assert 0 < sum(expected) < sum(units.units)
    assert units.units == tuple(z[0].numel() for z in latents)


def test_the_nats_of_a_layer_are_those_of_the_evaluation() -> None:
    for rows in [1, 3, 64]:
        model, images = deep_model(), digits(7)
        nats = layer_nats(model, images, seed=2, memory=rows * row_bytes(model))
        expected = evaluate(model, images, samples=1, seed=2).kl.mean(dim=0).tolist()
        assert nats == pytest.approx(expected, rel=1e-4, abs=1e-4)
