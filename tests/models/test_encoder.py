"""The bottom-up path: which state each cell reads, and how an image enters the network."""

from __future__ import annotations

import pytest
import torch
from model_tools import BINARY, GREY, images, make, noise
from torch import Tensor
from torch.nn import functional

from mrvae.models import HVAE, Encoder, ImageFrame
from mrvae.resolution import Wavelet, WaveletPooling
from mrvae.sizes import ImageSize

TWINS = {"encoder": "8x2,8d2,4x1r3,4d4,1x1", "decoder": "1x1,4m1,4x3,8m4,8x2"}


def states(model: HVAE, x: Tensor) -> list[tuple[ImageSize, Tensor]]:
    encoder = model.encoder
    assert isinstance(encoder, Encoder)
    return list(encoder.states(model.frame.prepare(x, torch.float64)))


def test_in_a_synchronous_model_the_two_paths_mirror_each_other() -> None:
    model = make(**TWINS, synchronous=True)  # type: ignore[arg-type]
    x = images(model, 2)
    mirrored = [functional.gelu(h) for _, h in reversed(states(model, x))]
    features = model.features(x)
    assert len(features) == len(mirrored) == model.stochastic_depth
    for ours, theirs in zip(features, mirrored, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)


def test_in_an_asynchronous_model_cells_read_the_last_state_before_pooling() -> None:
    model = make(**TWINS)  # type: ignore[arg-type]
    x = images(model, 2)
    found = states(model, x)
    assert [size for size, _ in found] == [8, 8, 8, 4, 4, 4, 4, 1]
    last = {8: found[1][1], 4: found[5][1], 1: found[7][1]}
    sizes = [height for _, height, _ in model.latent_shapes]
    for size, feature in zip(sizes, model.features(x), strict=True):
        torch.testing.assert_close(feature, functional.gelu(last[size]), rtol=0, atol=1e-12)


def test_both_have_the_same_parameters_and_another_posterior() -> None:
    one, other = make(**TWINS), make(**TWINS, synchronous=True)  # type: ignore[arg-type]
    other.load_state_dict(one.state_dict())
    x, drawn = images(one, 2), noise(one, 2)
    assert (one.elbo(x, drawn).kl - other.elbo(x, drawn).kl).abs().max() > 1e-3
    for z, same in zip(one.decode([zeros(one)]), other.decode([zeros(one)]), strict=True):
        assert torch.equal(z, same)


def zeros(model: HVAE) -> Tensor:
    return torch.zeros(1, *model.latent_shapes[0], dtype=torch.float64)


def test_twins_must_be_as_many_as_cells() -> None:
    with pytest.raises(ValueError, match=r"as many encoder blocks as cells.*4 has 1 and 2"):
        make(encoder="8x1,8d2,4x1", decoder="4x2,8m4,8x1", synchronous=True)


def test_importance_weights_repeat_each_synchronous_feature() -> None:
    model = make(**TWINS, synchronous=True)  # type: ignore[arg-type]
    x, drawn = images(model, 2), noise(model, 3, 2)
    together = model.log_weights(x, 3, drawn)
    apart = torch.cat([model.log_weights(x, 1, drawn[k : k + 1]) for k in range(3)])
    torch.testing.assert_close(together, apart, rtol=1e-12, atol=1e-10)


# --------------------------------------------------------------------------------- Fourier features


def test_fourier_features_are_sines_of_the_pixel() -> None:
    frame = ImageFrame(1, 4, 4, mean=8.0, std=8.0, bins=17, fourier=(1, 2))
    x = torch.arange(16, dtype=torch.uint8).view(1, 1, 4, 4)
    seen = frame.prepare(x, torch.float64)
    v = x.double() / 8 - 1
    expected = [v, *(f(2**n * torch.pi * v) for n in (1, 2) for f in (torch.sin, torch.cos))]
    torch.testing.assert_close(seen, torch.cat(expected, dim=1), rtol=0, atol=1e-12)
    assert frame.inputs == seen.shape[1] == 5


def test_fourier_features_separate_neighbouring_bins_and_are_constant_for_binary_images() -> None:
    grey = ImageFrame(1, 1, 1, mean=8.0, std=8.0, bins=17, fourier=(2,))
    a, b = (
        grey.prepare(torch.full((1, 1, 1, 1), k, dtype=torch.uint8), torch.float64) for k in (7, 8)
    )
    assert (a - b)[:, 1:].abs().max() > 5 * (a - b)[:, 0].abs().max()
    binary = ImageFrame(1, 1, 1, mean=0.5, std=0.5, bins=2, fourier=(0, 1, 2))
    black, white = (
        binary.prepare(torch.full((1, 1, 1, 1), k, dtype=torch.uint8), torch.float64)
        for k in (0, 1)
    )
    torch.testing.assert_close(black[:, 1:], white[:, 1:], rtol=0, atol=1e-12)


@pytest.mark.parametrize("likelihood", [BINARY, GREY])
def test_the_encoder_has_the_channels_for_them(likelihood: object) -> None:
    model = make(likelihood, fourier=(1, 2))  # type: ignore[arg-type]
    entering = model.encoder.get_parameter("enter.weight")
    assert entering.shape[1] == 5
    x = images(model, 2)
    model.elbo(x, noise(model, 2)).nats.sum().backward()  # type: ignore[no-untyped-call]
    assert entering.grad is not None
    assert bool(entering.grad.flatten(2).abs().sum(dim=(0, 2)).min() > 0)


# ------------------------------------------------------------------------------- other wavelets


def test_both_paths_project_and_embed_by_the_wavelet() -> None:
    """The states that enter a level: P of the finer one's last, and b + E of the coarser one's."""
    pooling = WaveletPooling(Wavelet("db2"))
    model = make(encoder="8x1,8d2,4x1", decoder="4x1,8m4,8x1", wavelet="db2")
    x = images(model, 2)
    h = states(model, x)[1][1]
    pooled = states(model, x)[2][1]
    encoder = model.encoder
    assert isinstance(encoder, Encoder)
    entering = pooling.project(h)
    block = encoder.get_submodule("stacks.0.0")
    torch.testing.assert_close(pooled, entering + block(entering), rtol=0, atol=1e-12)
    fine = model.stages[1]
    coarse = torch.randn(2, 8, 4, 4, generator=torch.Generator().manual_seed(0)).double()
    bias = model.decoder.get_parameter("modules_.1.bias")
    torch.testing.assert_close(
        fine.enter(coarse, 2), bias + pooling.embed(coarse), rtol=0, atol=1e-12
    )


def test_haar_is_the_ladder_and_another_wavelet_is_not() -> None:
    haar, db2 = make(), make(wavelet="db2")
    db2.load_state_dict(haar.state_dict())
    x, drawn = images(haar, 2), noise(haar, 2)
    assert (haar.elbo(x, drawn).nats - db2.elbo(x, drawn).nats).abs().min() > 1e-3
    db2.elbo(x, drawn).nats.sum().backward()  # type: ignore[no-untyped-call]
    idle = [name for name, p in db2.named_parameters() if p.grad is None or not p.grad.any()]
    assert idle == []


@pytest.mark.parametrize(("name", "message"), [("bior2.2", "biorthogonal"), ("db99", "db99")])
def test_wavelets_that_cannot_project_are_refused(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(wavelet=name)
