from __future__ import annotations

import pytest
import torch

import mrvae
from helpers.alive import Alive
from mrvae.evaluation.memory import row_bytes, rows_within
from mrvae.models import HVAE
from mrvae.recipes import override

SMALL = ["digits-vdvae", "mnist-vdvae", "omniglot-vdvae", "cifar10-vdvae-small"]
WAVELET = ["digits-wavelet", "kiruluta2025-cifar10-32-vae", "kiruluta2025-cifar10-32-wavelet-elbo"]


def peak(model: HVAE, rows: int) -> int:
    """Return the most bytes that are alive while ``rows`` draws are weighed."""
    frame = model.frame
    x = torch.zeros(rows, *frame.shape, dtype=torch.uint8)
    with torch.no_grad(), Alive() as alive:
        observed = model.observe(x)
        noise = model.noise(rows)
        model.terms(observed, x, noise)
        _, trace = model.importance_draws(observed, x, noise[None])
        trace.log_ratio()
    most: int = alive.peak
    return most


def test_the_count_of_live_bytes_is_right() -> None:
    with Alive() as alive:
        a = torch.zeros(1000)
        b = a + 1
        del a
        c = b.view(10, 100) + 1
        del b
    assert (alive.peak, alive.now) == (8000, 4000)
    assert c.sum() == 2000


@pytest.mark.parametrize("name", [*SMALL, *WAVELET])
def test_rows_take_no_more_than_is_estimated_and_not_much_less(name: str) -> None:
    model = mrvae.build(mrvae.recipe(name))
    each = peak(model, 3) / 3
    assert each <= row_bytes(model) < 9 * each


def test_wider_mixtures_and_softplus_scales_stay_within_the_estimate() -> None:
    changes = ["components=10", "model.scale=softplus", "width=8", "latent=32"]
    model = mrvae.build(override(mrvae.recipe("cifar10-vdvae-small"), changes))
    assert peak(model, 3) / 3 <= row_bytes(model)


def test_memory_buys_rows() -> None:
    model = mrvae.build(mrvae.recipe("digits-vdvae"))
    each = row_bytes(model)
    assert [rows_within(memory, model) for memory in (1, each, 5 * each - 1)] == [1, 1, 4]
    assert rows_within(1 << 50, model) <= 256


def test_no_memory_is_refused() -> None:
    model = mrvae.build(mrvae.recipe("digits-vdvae"))
    with pytest.raises(ValueError, match="memory is 0"):
        rows_within(0, model)


def test_on_a_cpu_states_stay_in_the_cache_whatever_memory_there_is() -> None:
    """32 · 32 · 32 values of 4 bytes are the widest state of MNIST x1; eight rows at least."""
    model = mrvae.build(mrvae.recipe("falck2022-mnist-x1"))
    assert rows_within(1 << 50, model) == (4 << 20) // (4 * 32**3)
    wide = mrvae.build(override(mrvae.recipe("cifar10-vdvae-small"), ["width=256"]))
    assert rows_within(1 << 50, wide) == 8
    assert rows_within(1 << 50, mrvae.build(mrvae.recipe("digits-vdvae"))) == 128
