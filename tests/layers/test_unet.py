"""The U-Net: the published number of weights, what begins at zero, and what depends on what."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from mrvae.layers import UNet
from mrvae.layers.unet import SelfAttention, TimedBlock, time_embedding
from mrvae.resolution import Ladder

SIZES = [(6, 1), (7, 1), (6, 2), (8, 3)]
every_size = pytest.mark.parametrize(("size", "scales"), SIZES)


def shaken(size: int, scales: int, blocks: int = 2) -> UNet:
    """Return a U-Net of double precision in which no weight is zero."""
    unet = UNet(size, channels=2, outputs=3, width=8, scales=scales, blocks=blocks, groups=4)
    unet.double()
    g = torch.Generator().manual_seed(0)
    for weight in unet.parameters():
        nn.init.normal_(weight, std=0.3, generator=g)
    return unet


def inputs(size: int, count: int = 3) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(1)
    y = torch.randn(count, 2, size, size, generator=g, dtype=torch.float64)
    return y, torch.arange(1, count + 1)


def weights(module: nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters())


def test_it_has_as_many_weights_as_published() -> None:
    """239,426 for MNIST; for CIFAR-10 1,785,222, of which two convolutions resample."""
    mnist = UNet(size=7, channels=1, outputs=2, width=32, scales=1, blocks=3)
    assert weights(mnist) == 239_426
    cifar = UNet(size=6, channels=3, outputs=6, width=64, scales=2, blocks=3)
    assert weights(cifar) + 2 * weights(nn.Conv2d(64, 64, 3)) == 1_785_222


@every_size
def test_it_begins_at_zero(size: int, scales: int) -> None:
    unet = UNet(size, channels=2, outputs=3, width=8, scales=scales, blocks=2, groups=4).double()
    assert torch.equal(unet(*inputs(size)), torch.zeros(3, 3, size, size, dtype=torch.float64))


@every_size
def test_every_weight_learns_and_no_example_sees_another(size: int, scales: int) -> None:
    unet, (y, t) = shaken(size, scales), inputs(size)
    out = unet(y, t)
    torch.testing.assert_close(unet(y[1:2], t[1:2]), out[1:2], rtol=1e-10, atol=1e-10)
    out.square().sum().backward()
    for name, weight in unet.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.abs().max() > 0, name


@every_size
def test_every_output_depends_on_every_pixel_and_on_the_time(size: int, scales: int) -> None:
    unet, (y, t) = shaken(size, scales), inputs(size, 1)
    y.requires_grad_()
    for out in unet(y, t).flatten()[:: size + 1]:
        (slope,) = torch.autograd.grad(out, y, retain_graph=True)
        assert (slope != 0).all()
    assert ((unet(y, t) - unet(y, t + 1)).abs() > 1e-9).all()


def test_the_forward_pass_is_its_literal_transcription() -> None:
    """Two scales of one block, written out: every state on the way down is read on the way up."""
    unet, (y, t) = shaken(6, 2, blocks=1), inputs(6)
    e, ladder = unet.embed(time_embedding(t, 8, torch.float64)), Ladder(3, 1)
    (down,), (deep,) = (list(column.children()) for column in unet.down)
    (deep_up, deeper_up), (up, last_up) = (list(column.children()) for column in unet.up)
    a = unet.enter(y)
    b = down(a, e)
    c = ladder.project(b)
    d = deep(c, e)
    h = unet.after(unet.attention(unet.before(d, e)), e)
    h = deeper_up(torch.cat((deep_up(torch.cat((h, d), 1), e), c), 1), e)
    h = last_up(torch.cat((up(torch.cat((ladder.embed(h), b), 1), e), a), 1), e)
    expected = unet.leave(nn.functional.silu(unet.norm(h)))
    torch.testing.assert_close(unet(y, t), expected, rtol=1e-12, atol=1e-12)


def test_attention_is_its_formula() -> None:
    """softmax(Qᵀ K/√d) V for each head, written out, and blind to the order of the pixels."""
    torch.manual_seed(0)
    block = SelfAttention(8, heads=2, groups=4).double()
    nn.init.normal_(block.answer.weight)
    x = torch.randn(2, 8, 3, 2, dtype=torch.float64)
    query, key, value = block.ask(block.norm(x)).flatten(2).view(2, 3, 2, 4, 6).unbind(1)
    shares = torch.einsum("bhcq,bhck->bhqk", query, key).div(math.sqrt(4)).softmax(-1)
    seen = torch.einsum("bhqk,bhck->bhcq", shares, value).reshape(2, 8, 3, 2)
    torch.testing.assert_close(block(x), x + block.answer(seen))
    torch.testing.assert_close(block(x.flip(-1)), block(x).flip(-1))


def test_the_time_scales_and_shifts_after_the_normalisation() -> None:
    torch.manual_seed(0)
    block = TimedBlock(4, 6, time=3, groups=2).double()
    nn.init.normal_(block.second.weight)
    x, e = torch.randn(2, 4, 5, 5, dtype=torch.float64), torch.randn(2, 3, dtype=torch.float64)
    h = block.first(nn.functional.silu(nn.functional.group_norm(x, 2)))
    modulation = block.modulate(nn.functional.silu(e)).view(2, 2, 6, 1, 1)
    h = nn.functional.group_norm(h, 2) * (1 + modulation[:, 0]) + modulation[:, 1]
    expected = block.skip(x) + block.second(nn.functional.silu(h))
    torch.testing.assert_close(block(x, e), expected)


def test_the_time_embedding_has_frequencies_from_high_to_low() -> None:
    t = torch.arange(5)
    waves = time_embedding(t, 6, torch.float64)
    for k in range(3):
        angle = t.double() * 10_000 ** (-k / 3)
        torch.testing.assert_close(waves[:, k], angle.cos())
        torch.testing.assert_close(waves[:, k + 3], angle.sin())


def test_impossible_shapes_are_refused() -> None:
    for size, scales in ((7, 2), (6, 3), (6, 0)):
        with pytest.raises(ValueError, match=f"scales is {scales}"):
            UNet(size, 1, 2, width=32, scales=scales, blocks=1)
    for width, heads, groups in ((24, 2, 16), (16, 3, 16), (3, 1, 1)):
        with pytest.raises(ValueError, match=f"width is {width}"):
            UNet(6, 1, 2, width, scales=1, blocks=1, heads=heads, groups=groups)
