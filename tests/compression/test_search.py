"""The search: it never makes an image longer, ends at a minimum, and decoding needs none."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from torch import Tensor

import mrvae
from helpers.tiny_codec import codec, images, tiny_context
from mrvae.compression import Codec, CodingNetwork, Stack, search
from mrvae.compression.calibration import codec_for
from mrvae.compression.coding.latents import CodedUnits, all_active, choose_integers, units_of
from mrvae.compression.coding.symbols import RoundedCentredGaussian
from mrvae.compression.search import _round, prior_bits
from mrvae.data import load
from mrvae.recipes.context import AutoregressiveSpec, DCTSpec, MidTreadSpec


def with_context() -> Codec:
    network = tiny_context(DCTSpec(3, MidTreadSpec(2.0), AutoregressiveSpec(8, 2)))
    return Codec(network, units_of(all_active(network.shapes), 16), ())


def bits(coded: Codec, x: Tensor, rounds: int) -> float:
    """Return the bits of images after some rounds, and see that decoding needs none."""
    stack = Stack()
    replace(coded, rounds=rounds).push_direct(stack, x)
    ideal = stack.ideal
    assert torch.equal(coded.pop_direct(stack, len(x)), x)
    assert stack.empty
    return ideal


@pytest.mark.parametrize("which", ["grey", "colour", "context"])
def test_a_search_makes_images_shorter_and_decoding_does_not_need_it(which: str) -> None:
    coded = with_context() if which == "context" else codec(which == "colour")
    for index in range(3):
        x = images(1, which == "colour", seed=index)
        sizes = [bits(coded, x, rounds) for rounds in (0, 1, 4)]
        assert sizes[0] >= sizes[1] >= sizes[2]
        assert sizes[2] < sizes[0] - 1


def one_unit(network: CodingNetwork, latent: int) -> tuple[CodedUnits, ...]:
    """Return units of which the first of one latent is coded, with a step of a half."""
    masks = [torch.zeros(shape, dtype=torch.bool) for shape in network.shapes]
    masks[latent][0, 0, 0] = True
    return units_of(masks, 8)


def all_sizes(coded: Codec, x: Tensor, reach: int) -> dict[int, float]:
    """Return -log₂ P(k) - log₂ p(x | z(k)) of one image for each k of the unit."""
    found = {}
    for k in range(-reach, reach + 1):
        numbers = np.array([k], dtype=np.int32)
        choices = [
            choose_integers(units, numbers if units.active.any() else numbers[:0])
            for units in coded.direct
        ]
        network = coded.network
        likelihood = network.log_likelihood(network.condition(()), choices, x)
        own = RoundedCentredGaussian(count=1, scale=2.0, reach=24).bits(numbers)
        found[k] = own - float(likelihood.detach()) / math.log(2)
    return found


@pytest.mark.parametrize("latent", [0, 1])
def test_the_search_of_one_unit_ends_where_both_neighbours_are_worse(latent: int) -> None:
    """All sizes are computed one by one, and the search has to have gone downhill to the end."""
    network = codec().network
    coded = Codec(network, one_unit(network, latent), ())
    for seed in range(2):
        x = images(1, seed=seed)
        sizes = all_sizes(coded, x, 24)
        start, end = (int(search(network, coded.direct, x, n)[latent][0]) for n in (0, 40))
        assert sizes[end] <= min(sizes[start], sizes[max(end - 1, -24)], sizes[min(end + 1, 24)])


@pytest.mark.parametrize("step", [0.25, 2.0])
def test_prior_bits_are_those_of_the_coded_prior(step: float) -> None:
    reach = int(12 / step)
    prior = RoundedCentredGaussian(count=1, scale=1 / step, reach=reach)
    k = np.arange(-reach + 1, reach, dtype=np.int32)
    expected = [prior.bits(k[i : i + 1]) for i in range(len(k))]
    found = prior_bits(torch.from_numpy(k).double(), torch.tensor(step, dtype=torch.float64))
    assert found.tolist() == pytest.approx(expected, abs=1e-4)


@pytest.mark.slow
def test_digits_take_ten_percent_more_than_the_bound_at_most() -> None:
    """Of the shipped model, a hundred test digits, one message."""
    network = CodingNetwork.of(mrvae.load("digits-vdvae"))
    x = load("digits", "test").take(torch.arange(100, 200))
    coded = codec_for(network, load("digits", "train").take(torch.arange(256)))
    with torch.no_grad():
        stream = torch.Generator().manual_seed(0)
        bounds = [network.model.elbo(x, network.model.noise(100, stream)).value for _ in range(8)]
    expected = -float(torch.stack(bounds).mean()) / math.log(2)
    assert expected < bits(coded, x, 3) / 100 < 1.1 * expected < bits(coded, x, 0) / 100


@dataclass
class Minimum:
    """An objective at its minimum, which records the moves that are tried."""

    tried: list[tuple[float, ...]]
    steps: Tensor
    reach: Tensor

    def slopes(self, k: Tensor) -> Tensor:
        return torch.zeros_like(k)

    def bits(self, k: Tensor) -> Tensor:
        self.tried.append(tuple(k[0].tolist()))
        return 1000 * k.square().sum(1)


def test_a_move_that_failed_is_not_tried_again() -> None:
    objective = Minimum([], torch.ones(20).double(), torch.full((20,), 9.0).double())
    k, refused = torch.zeros(1, 20).double(), torch.zeros(2, 1, 20, dtype=torch.bool)
    bits = objective.bits(k)
    for _ in range(6):
        k, bits, refused = _round(objective, k, bits, torch.zeros_like(k), refused)  # type: ignore[arg-type]
    single = [move for move in objective.tried if sum(map(abs, move)) == 1]
    assert len(single) == len(set(single)) == 40
    assert not k.any()
