"""One step of a filter bank: its transpose, its two ways, and Haar as the special case."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from helpers.linear import check_adjoint, image
from helpers.members import for_all
from mrvae.resolution import Wavelet, filter_bank, periodic
from mrvae.resolution.periodic import Periodic, analyse, synthesise


@for_all("name", ["haar", "db4", "sym5", "coif1", "bior2.2"])
def test_the_gradient_of_a_step_is_the_synthesis_of_the_dual_pair(name: str) -> None:
    bank = filter_bank(name)
    swapped = Periodic(replace(bank, filters=bank.dual, dual=bank.filters))
    check_adjoint(
        Periodic(bank).analysis, lambda cotangents: swapped.synthesis(*cotangents), 2, 12, 8
    )


@for_all("dims", [1, 2])
def test_butterflies_are_the_haar_filters(dims: int) -> None:
    x, general = image(3, 8, 12), Periodic(filter_bank("haar"), dims)
    for name in ("haar", "db1"):
        fast = Wavelet(name, dims).analysis(x, 1)
        coarse, details = general.analysis(x)
        torch.testing.assert_close((fast[0], fast[1][0]), (coarse, details), rtol=0, atol=1e-14)
        back = general.synthesis(coarse, details)
        torch.testing.assert_close(Wavelet(name, dims).synthesis(fast), back, rtol=0, atol=1e-14)


@for_all("name", ["db2", "db3", "coif1", "bior3.3", "sym20", "db38"])
@for_all(("shape", "dim"), [((80,), -1), ((2, 80, 3), -2), ((2, 3, 80), -1)])
def test_convolution_and_matrix_agree(
    name: str, shape: tuple[int, ...], dim: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, bank = image(*shape), filter_bank(name)
    for filters in (bank.filters, bank.filters[:1]):
        y = analyse(x, filters, dim)
        back = synthesise(y, filters, dim)
        with monkeypatch.context() as patch:
            patch.setattr(periodic, "_DENSE", 0)
            torch.testing.assert_close(analyse(x, filters, dim), y, rtol=0, atol=1e-13)
            torch.testing.assert_close(synthesise(y, filters, dim), back, rtol=0, atol=1e-12)


def test_what_inference_has_kept_can_be_trained_with() -> None:
    step, x = Periodic(filter_bank("db5")), image(2, 22, 22)
    with torch.inference_mode():
        step.analysis(x)
    x.requires_grad_()
    energy = torch.stack([part.square().sum() for part in step.analysis(x)]).sum()
    (gradient,) = torch.autograd.grad(energy, x)
    torch.testing.assert_close(gradient, 2 * x, rtol=0, atol=1e-12)
