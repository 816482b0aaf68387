"""Contexts: the published algorithms, one context for one image, and theorem 2."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import fft
from torch import Tensor

from mrvae.distributions import MidRise, MidTread, Quantiser
from mrvae.models.context.transforms import (
    ContextTransform,
    DCTContext,
    LinearContext,
    PooledContext,
    WaveletContext,
)

GREY, COLOUR = (1, 12, 8), (3, 16, 16)

TRANSFORMS: dict[str, Callable[[Quantiser], LinearContext]] = {
    "dct": lambda quantiser: DCTContext(GREY, 5, quantiser),
    "dct-colour": lambda quantiser: DCTContext(COLOUR, 6, quantiser),
    "dct-ycbcr": lambda quantiser: DCTContext(COLOUR, 6, quantiser, ycbcr=True),
    "pooled": lambda quantiser: PooledContext(GREY, 4, quantiser),
    "haar": lambda quantiser: WaveletContext(COLOUR, "haar", 2, quantiser),
    "db2": lambda quantiser: WaveletContext(COLOUR, "db2", 2, quantiser),
    "bior2.2": lambda quantiser: WaveletContext(COLOUR, "bior2.2", 1, quantiser),
}
some_contexts = pytest.mark.parametrize(
    "make", [TRANSFORMS[name] for name in ("dct-ycbcr", "pooled", "bior2.2")]
)
QUANTISERS = (MidRise(2), MidTread(0.4), MidRise(5))
# Every transform and every quantiser; codes are made from coefficients, whichever transform's.
every_pair = pytest.mark.parametrize(
    ("make", "quantiser"),
    [(make, QUANTISERS[k % 3]) for k, make in enumerate(TRANSFORMS.values())],
    ids=TRANSFORMS.keys(),
)


def images(shape: tuple[int, ...], count: int = 40, seed: int = 0, values: int = 256) -> Tensor:
    """Return images of every brightness and contrast, and some with symmetries."""
    g = torch.Generator().manual_seed(seed)
    x = torch.rand(count, *shape, generator=g, dtype=torch.float64)
    x = x * torch.rand(count, 1, 1, 1, generator=g, dtype=torch.float64)
    x[0], x[1], x[2] = 0, 1, 0.5
    x[3] = (x[3] + x[3].flip(-1)) / 2
    x[4, ..., ::2, :], x[4, ..., 1::2, :] = 0, 1
    return (x * (values - 1)).round().to(torch.uint8)


def fitted(make: Callable[[Quantiser], LinearContext], quantiser: Quantiser) -> LinearContext:
    context = make(quantiser)
    context.fit(images(context.image))
    return context


# ------------------------------------------------------------------------------- properties


@every_pair
def test_levels_lie_on_the_grid_and_decode_to_images(
    make: Callable[[Quantiser], LinearContext], quantiser: Quantiser
) -> None:
    context: ContextTransform = fitted(make, quantiser)
    image = make(quantiser).image
    levels = context.encode(images(image, seed=1))
    context.grid.check(levels)
    assert levels.shape == (40, *context.shape)
    decoded = context.decode(levels)
    assert decoded.shape == (40, *image)
    assert decoded.abs().max() <= 1


@every_pair
def test_an_image_has_one_context_whatever_batch_it_is_in(
    make: Callable[[Quantiser], LinearContext], quantiser: Quantiser
) -> None:
    context = fitted(make, quantiser)
    x = images(context.image, seed=1)
    together, turned = context.encode(x), context.encode(x.flip(0)).flip(0)
    alone = torch.cat([context.encode(each[None]) for each in x])
    assert torch.equal(together, alone)
    assert torch.equal(together, turned)


@some_contexts
def test_no_training_image_is_clipped_and_brighter_ones_are(
    make: Callable[[Quantiser], LinearContext],
) -> None:
    context = make(MidRise(2))
    train = images(context.image)[5:]
    context.fit(train)
    assert context.clipped(train).sum() == 0
    c = context.analyse(context.bins.to_unit(train, torch.float64))
    torch.testing.assert_close(context.scale, c.abs().amax(0), rtol=0, atol=1e-6)
    other = images(context.image)[:5]
    c = context.analyse(context.bins.to_unit(other, torch.float64))
    beyond = (c.abs() > context.scale + 1e-6).flatten(1).sum(1)
    assert torch.equal(context.clipped(other), beyond)
    assert beyond.sum() > 0


@some_contexts
def test_fine_levels_lose_no_more_than_half_of_one(
    make: Callable[[Quantiser], LinearContext],
) -> None:
    """In coefficients: what is decoded before it is cut has those of the image, to half a step."""
    step = 0.01
    context = fitted(make, MidTread(step))
    x = images(context.image)
    c = context.analyse(context.bins.to_unit(x, torch.float64))
    decoded = context.quantiser.decode(context.encode(x), context.scale)
    assert (decoded - c).abs().max() <= step / 2 + 1e-6
    torch.testing.assert_close(context.analyse(context.synthesise(c)), c, rtol=0, atol=1e-10)


def test_all_frequencies_in_small_steps_are_the_image() -> None:
    context = DCTContext((3, 8, 8), 8, MidTread(1e-4), ycbcr=True)
    x = images((3, 8, 8))
    context.fit(x)
    back = (context.decode(context.encode(x)) + 1) * 127.5
    assert torch.equal(back.round().to(torch.uint8), x)


def test_frequencies_that_are_zero_by_symmetry_take_the_upper_of_the_two_levels() -> None:
    """Rounding errors of either sign do not decide the context."""
    context = fitted(TRANSFORMS["dct-colour"], MidRise(2))
    half = images(COLOUR, seed=3)
    mirrored = torch.cat((half[..., :8], half[..., :8].flip(-1)), dim=-1)
    assert (context.encode(mirrored)[..., 1::2] == 2).all()


def test_many_images_are_measured_as_a_few(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = fitted(TRANSFORMS["dct-colour"], MidRise(2))
    monkeypatch.setattr("mrvae.models.context.transforms._AT_ONCE", 7)
    parts = fitted(TRANSFORMS["dct-colour"], MidRise(2))
    assert torch.equal(parts.scale, whole.scale)


def test_the_context_is_not_touched_by_precision_and_travels_with_the_weights() -> None:
    context = fitted(TRANSFORMS["dct"], MidTread(0.4))
    x = images(GREY, seed=1)
    levels = context.encode(x)
    again = TRANSFORMS["dct"](MidTread(0.4))
    again.load_state_dict(context.half().state_dict())
    assert torch.equal(again.encode(x), levels)
    with pytest.raises(ValueError, match="fitted already"):
        again.fit(x)


# ------------------------------------------------------------------------- published algorithms


@pytest.mark.parametrize("bits", [2, 5])
def test_dct_contexts_are_algorithms_1_and_2(bits: int) -> None:
    context = fitted(TRANSFORMS["dct-colour"], MidRise(bits))
    train, x = images(COLOUR), images(COLOUR, seed=2)

    def frequencies(images_: Tensor) -> np.ndarray:
        full = fft.dctn(images_.double().numpy() / 255, axes=(-2, -1), norm="ortho")
        return np.asarray(full[..., :6, :6])

    scale = np.abs(frequencies(train)).max(0)
    # To the unit in which contexts decide, or rounding would settle what is zero by symmetry.
    u = np.round(np.clip(frequencies(x) / scale, -1, 1), 9)
    level = np.minimum(np.floor((u + 1) / 2 * 2**bits), 2**bits - 1)
    values = (2 * level + 1) / 2**bits - 1
    assert np.array_equal(context.encode(x).numpy(), level)

    padded = np.zeros((40, *COLOUR))
    padded[..., :6, :6] = values * scale
    image = np.clip(fft.idctn(padded, axes=(-2, -1), norm="ortho"), 0, 1)
    decoded = context.decode(context.encode(x)).numpy()
    np.testing.assert_allclose(decoded, 2 * image - 1, atol=1e-5)


def test_pooled_contexts_are_algorithms_3_and_4() -> None:
    """With a black training image S is 1, as in the paper, which does not divide."""
    context = fitted(TRANSFORMS["pooled"], MidRise(2))
    assert torch.equal(context.scale, torch.ones(1, 3, 2, dtype=torch.float64))
    x = images(GREY, seed=2)
    mean = x.double().numpy().reshape(40, 1, 3, 4, 2, 4).mean((3, 5)) / 127.5 - 1
    level = np.minimum(np.floor((np.round(mean, 9) + 1) * 2), 3)
    assert np.array_equal(context.encode(x).numpy(), level)
    nearest = np.repeat(np.repeat((2 * level + 1) / 4 - 1, 4, axis=-1), 4, axis=-2)
    np.testing.assert_allclose(context.decode(context.encode(x)).numpy(), nearest, atol=1e-6)


@pytest.mark.parametrize("steps", [0, 1, 3])
def test_the_haar_context_is_the_pooled_one(steps: int) -> None:
    """Theorem 2 of Falck et al.: the coarse part of Haar is the average times 2^steps."""
    haar = WaveletContext(COLOUR, "haar", steps, MidRise(3))
    pooled = PooledContext(COLOUR, 1 << steps, MidRise(3))
    x = images(COLOUR)
    u = pooled.bins.to_unit(x, torch.float64)
    expected = pooled.analyse(u) * 2**steps
    torch.testing.assert_close(haar.analyse(u), expected, rtol=0, atol=1e-12)
    for context in (haar, pooled):
        context.fit(x)
    levels = pooled.encode(images(COLOUR, seed=4))
    assert torch.equal(haar.encode(images(COLOUR, seed=4)), levels)
    torch.testing.assert_close(haar.decode(levels), pooled.decode(levels), rtol=0, atol=1e-5)


def test_luminance_and_chrominance_are_pillows() -> None:
    context = DCTContext((3, 8, 8), 8, MidTread(1e-3), ycbcr=True)
    x = images((3, 8, 8))
    c = context.analyse(context.bins.to_unit(x, torch.float64))
    planes = context.dct.synthesis(c, 8, 8) * 255
    for image, ours in zip(x, planes, strict=True):
        picture = Image.fromarray(image.permute(1, 2, 0).numpy()).convert("YCbCr")
        theirs = torch.from_numpy(np.array(picture)).permute(2, 0, 1).double()
        theirs[1:] -= 128
        assert (ours - theirs).abs().max() <= 1.0


@pytest.mark.parametrize("bins", [2, 17])
def test_a_pixels_value_is_its_level_whatever_their_number(bins: int) -> None:
    """The same picture in 0 … 1, in 0 … 16 and in 0 … 255 has the same context."""
    few, many = (DCTContext(GREY, 5, MidRise(4), bins=n) for n in (bins, 256))
    x = images(GREY, values=2)
    few.fit(x * (bins - 1))
    many.fit(x * 255)
    assert torch.equal(few.encode(x * (bins - 1)), many.encode(x * 255))


# ------------------------------------------------------------------------------- refusals


def test_what_does_not_fit_is_refused() -> None:
    rise = MidRise(2)
    with pytest.raises(ValueError, match="size is 9"):
        DCTContext(GREY, 9, rise)
    with pytest.raises(ValueError, match="1 channels; ycbcr"):
        DCTContext(GREY, 4, rise, ycbcr=True)
    with pytest.raises(ValueError, match="factor is 8"):
        PooledContext(GREY, 8, rise)
    with pytest.raises(ValueError, match="steps is 3"):
        WaveletContext(GREY, "haar", 3, rise)
    with pytest.raises(ValueError, match="nosuch"):
        WaveletContext(GREY, "nosuch", 1, rise)
    context = PooledContext(GREY, 4, rise, bins=17)
    x = images(GREY, values=17)
    for unready in (context.encode, context.clipped):
        with pytest.raises(ValueError, match="not fitted"):
            unready(x)
    with pytest.raises(ValueError, match="not fitted"):
        context.decode(torch.zeros(1, *context.shape, dtype=torch.int64))
    with pytest.raises(ValueError, match="no images"):
        context.fit(x[:0])
    with pytest.raises(ValueError, match="the value 255"):
        context.fit(images(GREY))
    context.fit(x)
    with pytest.raises(ValueError, match=r"torch.float32 of shape"):
        context.encode(x.float())
    with pytest.raises(ValueError, match=r"expected torch.uint8 of shape \(B, \*\(1, 12, 8\)\)"):
        context.encode(images(COLOUR))
    with pytest.raises(ValueError, match=r"expected \(B, \*\(1, 3, 2\)\)"):
        context.decode(torch.zeros(2, 1, 2, 3, dtype=torch.int64))
