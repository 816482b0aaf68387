"""Wavelet transforms: PyWavelets' in every digit, orthonormal, invertible, differentiable."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import pywt
import torch
from torch import Tensor

from helpers.linear import check_adjoint, check_orthonormal, image
from helpers.members import for_all
from mrvae.resolution import Coefficients, Wavelet, filter_bank, wavelet_names

NAMES = wavelet_names()
SOME = ["haar", "db4", "sym5", "coif1", "bior2.2"]
every_name = for_all("name", NAMES)
some_names = for_all("name", SOME)
some_orthogonal = for_all("name", [name for name in SOME if filter_bank(name).orthogonal])
# (dims, shape, levels): any leading axes, filters longer than the signal, sides that differ.
CASES = [(1, (32,), 3), (1, (2, 3, 8), 3), (2, (2, 2, 12, 20), 2)]
every_case = for_all(("dims", "shape", "levels"), CASES)


def parts(coefficients: Coefficients) -> tuple[Tensor, ...]:
    return (coefficients.approximation, *coefficients.details)


def whole(parts: Sequence[Tensor]) -> Coefficients:
    return Coefficients(parts[0], tuple(parts[1:]))


def pywavelets(x: Tensor, name: str, dims: int, levels: int) -> Coefficients:
    """Analyse with PyWavelets, step by step: its own loop warns of signals shorter than filters."""
    details: list[Tensor] = []
    for _ in range(levels):
        if dims == 1:
            low, *bands = pywt.dwt(x.numpy(), name, mode="periodization")
        else:
            low, bands = pywt.dwt2(x.numpy(), name, mode="periodization")
        x = torch.as_tensor(low)
        details.insert(0, torch.stack([torch.as_tensor(band) for band in bands], dim=-1 - dims))
    return Coefficients(x, tuple(details))


@some_orthogonal
def test_analysis_is_orthonormal(name: str) -> None:
    for size, levels in ((2, 1), (8, 3), (32, 1), (64, 1), (64, 6)):
        wavelet = Wavelet(name, dims=1)
        check_orthonormal(lambda x: parts(wavelet.analysis(x, levels)), size)  # noqa: B023


@some_names
def test_analysis_of_images_is_orthonormal(name: str) -> None:
    wavelet = Wavelet(name)
    if wavelet.orthogonal:
        check_orthonormal(lambda x: parts(wavelet.analysis(x, 2)), 8, 12)
    else:
        with pytest.raises(AssertionError):
            check_orthonormal(lambda x: parts(wavelet.analysis(x, 2)), 8, 12)


@every_case
@every_name
def test_analysis_is_pywavelets(name: str, dims: int, shape: tuple[int, ...], levels: int) -> None:
    x = image(*shape)
    x /= x.abs().max()
    ours, expected = Wavelet(name, dims).analysis(x, levels), pywavelets(x, name, dims, levels)
    torch.testing.assert_close(parts(ours), parts(expected), rtol=0, atol=1e-10)


@every_case
@some_names
def test_synthesis_undoes_analysis(
    name: str, dims: int, shape: tuple[int, ...], levels: int
) -> None:
    wavelet, x = Wavelet(name, dims), image(*shape)
    coefficients = wavelet.analysis(x, levels)
    tolerance = 1e-13 if wavelet.orthogonal else 1e-11
    torch.testing.assert_close(wavelet.synthesis(coefficients), x, rtol=0, atol=60 * tolerance)
    again = wavelet.analysis(wavelet.synthesis(coefficients), levels)
    torch.testing.assert_close(parts(again), parts(coefficients), rtol=0, atol=60 * tolerance)


@every_case
@some_orthogonal
def test_the_sum_of_squares_is_kept(
    name: str, dims: int, shape: tuple[int, ...], levels: int
) -> None:
    x = image(*shape)
    energy = sum(part.square().sum() for part in parts(Wavelet(name, dims).analysis(x, levels)))
    torch.testing.assert_close(energy, x.square().sum(), rtol=1e-12, atol=0)


@every_case
@some_orthogonal
def test_the_gradient_of_analysis_is_synthesis(
    name: str, dims: int, shape: tuple[int, ...], levels: int
) -> None:
    wavelet = Wavelet(name, dims)
    check_adjoint(
        lambda x: parts(wavelet.analysis(x, levels)),
        lambda cotangents: wavelet.synthesis(whole(cotangents)),
        *shape,
    )


def test_long_signals_are_pywavelets_without_a_matrix() -> None:
    x, wavelet = image(1 << 20), Wavelet("db3", dims=1)
    coefficients = wavelet.analysis(x, 3)
    expected = pywavelets(x, "db3", 1, 3)
    torch.testing.assert_close(parts(coefficients), parts(expected), rtol=0, atol=1e-12)
    torch.testing.assert_close(wavelet.synthesis(coefficients), x, rtol=0, atol=1e-12)


@some_names
def test_smooth_images_have_small_details(name: str) -> None:
    angle = torch.arange(32, dtype=torch.float64) * (2 * torch.pi / 32)
    x = torch.sin(angle).unsqueeze(-1) * torch.cos(angle)
    fine = Wavelet(name).analysis(x, 1).details[0].abs().amax(dim=(-2, -1))
    moments = pywt.Wavelet(name).vanishing_moments_psi
    assert fine.max() <= 4 * (2 * torch.pi / 32) ** moments
    assert fine[2] < fine[0]


def test_bands_are_named_after_their_edges() -> None:
    stripes = torch.tensor([1.0, -1.0, 1.0, -1.0]).expand(4, 4)
    horizontal, vertical, diagonal = Wavelet("haar").analysis(stripes, 1).details[0]
    assert vertical.abs().max() > 1
    assert horizontal.abs().max() == diagonal.abs().max() == 0


@some_names
def test_no_level_is_the_identity_and_levels_compose(name: str) -> None:
    wavelet, x = Wavelet(name), image(2, 16, 8)
    none = wavelet.analysis(x, 0)
    assert none.details == ()
    assert torch.equal(none.approximation, x)
    assert torch.equal(wavelet.synthesis(none), x)
    once, twice = wavelet.analysis(x, 1), wavelet.analysis(x, 2)
    again = wavelet.analysis(once.approximation, 1)
    assert all(map(torch.equal, parts(twice), (*parts(again), *once.details)))


@some_names
def test_images_of_a_batch_are_independent(name: str) -> None:
    wavelet, x = Wavelet(name), image(3, 2, 8, 8)
    together = parts(wavelet.analysis(x, 2))
    for i, j in ((0, 1), (2, 0)):
        alone = parts(wavelet.analysis(x[i, j], 2))
        torch.testing.assert_close([part[i, j] for part in together], list(alone))


@some_names
@pytest.mark.filterwarnings("ignore:`torch.jit.script`:DeprecationWarning")
def test_forward_derivatives_vmap_and_second_derivatives(name: str) -> None:
    wavelet, x, v = Wavelet(name), image(2, 8, 4), image(2, 8, 4, seed=1)

    def there_and_back(z: Tensor) -> Tensor:
        return wavelet.synthesis(wavelet.analysis(z, 2))

    derivative = torch.func.jvp(lambda z: parts(wavelet.analysis(z, 2)), (x,), (v,))[1]
    expected = parts(wavelet.analysis(v, 2))
    torch.testing.assert_close(derivative, expected, rtol=0, atol=1e-12)
    mapped = torch.func.vmap(there_and_back, in_dims=2, out_dims=2)(x.unsqueeze(2))
    torch.testing.assert_close(mapped, x.unsqueeze(2), rtol=0, atol=1e-11)
    details = Wavelet(name).analysis(x, 1).details[0]
    mixed = torch.func.vmap(lambda d: wavelet.step.synthesis(x[:, :4, :2], d))(details[None])
    torch.testing.assert_close(mixed[0], wavelet.step.synthesis(x[:, :4, :2], details))
    point = x[0].clone().requires_grad_()
    assert torch.autograd.gradgradcheck(lambda z: there_and_back(z) ** 3, point)


@pytest.mark.slow
@for_all("name", ["haar", "db2"])
def test_it_compiles_to_one_graph_at_every_size(name: str) -> None:
    wavelet = Wavelet(name)

    def denoise(x: Tensor) -> Tensor:
        coarse, details = wavelet.analysis(x, 2)
        return wavelet.synthesis(Coefficients(coarse, (details[0], 0.5 * details[1])))

    torch.compiler.reset()
    compiled = torch.compile(denoise, fullgraph=True, backend="eager")
    for size in (8, 16):
        x = image(2, size, size).requires_grad_()
        torch.testing.assert_close(compiled(x), denoise(x), rtol=0, atol=1e-12)
        (ours,) = torch.autograd.grad(compiled(x).square().sum(), x)
        (plain,) = torch.autograd.grad(denoise(x).square().sum(), x)
        torch.testing.assert_close(ours, plain, rtol=0, atol=1e-12)


@some_names
def test_precision_is_that_of_the_image_under_autocast_too(name: str) -> None:
    wavelet, x = Wavelet(name), image(2, 8, 8).float()
    plain = wavelet.analysis(x, 2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = wavelet.analysis(x, 2)
        back = wavelet.synthesis(cast)
    assert all(map(torch.equal, parts(plain), parts(cast)))
    torch.testing.assert_close(back, x, rtol=0, atol=1e-5)
    assert wavelet.analysis(x.bfloat16(), 1).approximation.dtype == torch.bfloat16


def test_wrong_images_are_refused() -> None:
    for name in ("haar", "db2"):
        wavelet = Wavelet(name)
        with pytest.raises(ValueError, match=r"\(12, 8\); 3 steps .* multiples of 8"):
            wavelet.analysis(image(12, 8), 3)
        with pytest.raises(ValueError, match="levels is -1"):
            wavelet.analysis(image(8, 8), -1)
        with pytest.raises(ValueError, match=r"\(8,\); expected 2 axes"):
            wavelet.analysis(image(8), 1)
        with pytest.raises(ValueError, match=r"uint8; expected floating point"):
            wavelet.analysis(torch.zeros(8, 8, dtype=torch.uint8), 1)
        with pytest.raises(ValueError, match="details"):
            wavelet.synthesis(Coefficients(image(4, 4), (image(3, 4, 2),)))
        with pytest.raises(ValueError, match="even size"):
            wavelet.step.analysis(image(5, 4))


def test_unknown_wavelets_are_refused() -> None:
    with pytest.raises(ValueError, match=r"wavelet is 'db99'; .* did you mean db9"):
        Wavelet("db99")
    with pytest.raises(ValueError, match="dims is 3"):
        Wavelet("db2", dims=3)


@pytest.mark.slow
@every_name
def test_every_even_size_is_pywavelets_and_comes_back(name: str) -> None:
    for size in range(2, 130, 2):
        x, wavelet = image(2, size), Wavelet(name, dims=1)
        coefficients = wavelet.analysis(x, 1)
        expected = pywavelets(x, name, 1, 1)
        torch.testing.assert_close(parts(coefficients), parts(expected), rtol=0, atol=1e-10)
        torch.testing.assert_close(wavelet.synthesis(coefficients), x, rtol=0, atol=1e-10)


@some_names
def test_parts_of_two_types_give_the_type_that_holds_both(name: str) -> None:
    """As torch's operators do: nothing is rounded to the coarser of the two."""
    wavelet = Wavelet(name)
    exact = wavelet.analysis(image(1, 1, 8, 8).float(), 2)
    coarse = exact.approximation.bfloat16()
    expected = wavelet.synthesis(Coefficients(coarse.float(), exact.details))
    mixed = wavelet.synthesis(Coefficients(coarse, exact.details))
    assert mixed.dtype == torch.float32
    torch.testing.assert_close(mixed, expected, rtol=1e-6, atol=1e-6)
    fine = wavelet.synthesis(
        Coefficients(exact.approximation, tuple(part.bfloat16() for part in exact.details))
    )
    assert fine.dtype == torch.float32
