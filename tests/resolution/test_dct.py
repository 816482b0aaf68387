"""The cropped cosine transform: scipy's, and an orthogonal projection."""

from __future__ import annotations

import pytest
import torch
from scipy import fft

from helpers.linear import check_adjoint, check_orthonormal, check_projection, image
from helpers.members import for_all
from mrvae.resolution import DCT, dct

SHAPES = [(4, 4), (3, 7, 5), (2, 3, 28, 28), (2, 1, 2, 33, 8)]
every_shape = for_all("shape", SHAPES)
every_size = for_all("size", [1, 2, 4])


@every_size
@every_shape
def test_analysis_is_scipys_cropped(shape: tuple[int, ...], size: int) -> None:
    x = image(*shape)
    full = torch.as_tensor(fft.dctn(x.numpy(), axes=(-2, -1), norm="ortho"))
    expected = full[..., :size, :size]
    torch.testing.assert_close(DCT(size).analysis(x), expected, rtol=0, atol=1e-12)


@every_size
@every_shape
def test_synthesis_is_scipys_zero_padded(shape: tuple[int, ...], size: int) -> None:
    c, full = image(*shape[:-2], size, size), torch.zeros(shape, dtype=torch.float64)
    full[..., :size, :size] = c
    expected = torch.as_tensor(fft.idctn(full.numpy(), axes=(-2, -1), norm="ortho"))
    ours = DCT(size).synthesis(c, *shape[-2:])
    torch.testing.assert_close(ours, expected, rtol=0, atol=1e-12)


@for_all("size", [1, 2, 3, 8, 17])
def test_uncropped_it_is_orthonormal(size: int) -> None:
    check_orthonormal(lambda x: (DCT(size).analysis(x),), size, size)


def test_a_long_basis_keeps_every_digit() -> None:
    rows = dct._cosines(1000, 1000, torch.float64, torch.device("cpu"))
    one = torch.eye(1000, dtype=torch.float64)
    assert (rows @ rows.T - one).abs().max() < 1e-13


@every_size
@every_shape
def test_analysis_undoes_synthesis(shape: tuple[int, ...], size: int) -> None:
    c = image(*shape[:-2], size, size)
    back = DCT(size).analysis(DCT(size).synthesis(c, *shape[-2:]))
    torch.testing.assert_close(back, c, rtol=0, atol=1e-13)


@for_all(("shape", "size"), [((7, 5), 3), ((2, 8, 8), 4), ((28, 12), 6)])
def test_synthesis_after_analysis_is_an_orthogonal_projection(
    shape: tuple[int, ...], size: int
) -> None:
    transform = DCT(size)
    check_projection(lambda x: transform.synthesis(transform.analysis(x), *shape[-2:]), *shape)


@every_shape
def test_the_gradient_of_analysis_is_synthesis(shape: tuple[int, ...]) -> None:
    transform = DCT(3)
    check_adjoint(
        lambda x: (transform.analysis(x),),
        lambda cotangents: transform.synthesis(cotangents[0], *shape[-2:]),
        *shape,
    )


def test_one_frequency_is_the_mean_of_the_image() -> None:
    x = image(2, 6, 10)
    expected = x.mean(dim=(-2, -1), keepdim=True)
    torch.testing.assert_close(DCT(1).synthesis(DCT(1).analysis(x), 6, 10), expected.expand_as(x))


def test_autocast_rounds_nothing() -> None:
    x = image(2, 8, 8).float()
    plain = DCT(4).analysis(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(DCT(4).analysis(x), plain)


def test_it_compiles_to_one_graph() -> None:
    torch.compiler.reset()
    compiled = torch.compile(
        lambda x: DCT(3).synthesis(DCT(3).analysis(x), 8, 8), fullgraph=True, backend="eager"
    )
    x = image(2, 8, 8)
    expected = DCT(3).synthesis(DCT(3).analysis(x), 8, 8)
    torch.testing.assert_close(compiled(x), expected, rtol=0, atol=1e-13)


def test_what_does_not_fit_is_refused() -> None:
    for shape in ((5, 8), (8, 5)):
        with pytest.raises(ValueError, match=r"size is 6, .* 5 pixels"):
            DCT(6).analysis(image(*shape))
        with pytest.raises(ValueError, match=r"size is 6, .* 5 pixels"):
            DCT(6).synthesis(image(6, 6), *shape)
    with pytest.raises(ValueError, match=r"\(4, 5\); expected \(…, 4, 4\)"):
        DCT(4).synthesis(image(4, 5), 8, 8)
    with pytest.raises(ValueError, match="size is 0"):
        DCT(0)
    with pytest.raises(ValueError, match="2 axes"):
        DCT(1).analysis(image(4))
    with pytest.raises(ValueError, match="uint8"):
        DCT(1).analysis(torch.zeros(4, 4, dtype=torch.uint8))
