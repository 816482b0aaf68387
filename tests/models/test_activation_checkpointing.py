"""Activation checkpointing: the same numbers, with less memory."""

from __future__ import annotations

import pytest
import torch
from model_tools import images, make, noise
from torch import Tensor

import mrvae
from helpers.alive import Alive
from mrvae.models import HVAE
from mrvae.recipes.schema import NVAE, VDVAE, Cell, Markov, Plain, TopDown


def gradients(model: HVAE, x: Tensor, drawn: Tensor) -> list[Tensor]:
    model.zero_grad()
    model.elbo(x, drawn).nats.sum().backward()  # type: ignore[no-untyped-call]
    return [p.grad.clone() for p in model.parameters() if p.grad is not None]


@pytest.mark.parametrize("cell", [VDVAE(), NVAE()])
@pytest.mark.parametrize("synchronous", [False, True])
def test_recomputed_gradients_are_the_same(cell: Cell, synchronous: bool) -> None:
    decoder = "4x1,8m4,8x4" if synchronous else "4x2,8m4,8x2r3"
    model = make(encoder="8x2r2,8d2,4x1", decoder=decoder, cell=cell, synchronous=synchronous)
    x, drawn = images(model, 3), noise(model, 3)
    plain = gradients(model, x, drawn)
    model.enable_activation_checkpointing()
    assert len(plain) == len(list(model.parameters()))
    for a, b in zip(plain, gradients(model, x, drawn), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("cell", [Markov(), Plain(), TopDown(shortcut=False)])
def test_so_are_those_of_every_other_cell(cell: Cell) -> None:
    model = make(encoder="8x2,8d2,4x1", decoder="4x2,8m4,8x2r3", cell=cell)
    x, drawn = images(model, 3), noise(model, 3)
    plain = gradients(model, x, drawn)
    model.enable_activation_checkpointing()
    again = gradients(model, x, drawn)
    assert len(plain) == len(again) > 20
    assert all(torch.equal(a, b) for a, b in zip(plain, again, strict=True))
    assert sum(float(a.abs().sum()) > 0 for a in plain) > 10


def peak(model: HVAE, batch: int) -> int:
    """Return the most bytes alive during one forward and backward pass, weights not counted."""
    frame = model.frame
    x = torch.zeros(batch, *frame.shape, dtype=torch.uint8)
    drawn = model.noise(batch)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    with Alive() as alive:
        model.elbo(x, drawn).nats.sum().backward()  # type: ignore[no-untyped-call]
    most: int = alive.peak
    return most


@pytest.mark.slow
def test_a_very_deep_model_takes_less_than_two_fifths_of_the_memory() -> None:
    """Of 105 cells: the MNIST widths of Falck et al., each cell visited 20 times."""
    recipe = mrvae.recipe("falck2022-mnist-r20")
    plain = mrvae.build(recipe)
    assert plain.stochastic_depth >= 100
    small = mrvae.build(recipe)
    small.enable_activation_checkpointing()
    assert peak(small, 1) <= 0.4 * peak(plain, 1)
