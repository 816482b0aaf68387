"""Equations 1 and 2 of Falck et al. 2022, and the KL between them."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import Tensor
from torch.distributions import Independent, Normal, kl_divergence

from helpers.linear import image
from helpers.members import for_all
from mrvae.papers.falck2022.bottleneck import (
    Pair,
    PooledUNet,
    invertible_join,
    skip_kl,
    without_skips,
)
from mrvae.papers.falck2022.compression import leaky_pair
from mrvae.papers.falck2022.transport import energy
from mrvae.resolution import Wavelet, WaveletPooling

every_wavelet = for_all("name", ["haar", "db2", "db4"])


def pair(values: int, seed: int = 0) -> Pair:
    return leaky_pair(values, torch.Generator().manual_seed(seed))[0]


def pooling(name: str) -> WaveletPooling:
    return WaveletPooling(Wavelet(name))


@every_wavelet
def test_without_skip_the_bottleneck_is_a_projection(name: str) -> None:
    x, one = image(5, 1, 8, 8), pair(64)
    u = without_skips([one], pooling(name), 2).reconstruct
    torch.testing.assert_close(u(u(x)), u(x), rtol=0, atol=1e-11)
    assert (u(x) - x).abs().max() > 0.1
    other = Pair(one.forward, pair(64, seed=1).backward)
    foreign = without_skips([other], pooling(name), 2).reconstruct
    assert (foreign(foreign(x)) - foreign(x)).abs().max() > 0.1


@every_wavelet
def test_with_skip_it_is_the_identity(name: str) -> None:
    x, one = image(5, 1, 8, 8), pair(64)
    join = invertible_join(one.backward, pooling(name))
    u = PooledUNet((one.forward,), (join,), pooling(name), 2).reconstruct
    torch.testing.assert_close(u(x), x, rtol=0, atol=1e-11)
    other = invertible_join(one.backward, pooling("db2" if name != "db2" else "haar"))
    wrong = PooledUNet((one.forward,), (other,), pooling(name), 2).reconstruct
    assert (wrong(x) - x).abs().max() > 0.1


@for_all("scale", [0.1, 1.0, 3.0])
def test_the_kl_is_that_of_two_gaussians(scale: float) -> None:
    x, one = image(5, 1, 8, 8), pair(64)
    without = without_skips([one], pooling("haar"), 2).reconstruct
    join = invertible_join(one.backward, pooling("haar"))
    with_skip = PooledUNet((one.forward,), (join,), pooling("haar"), 2).reconstruct
    expected = kl_divergence(*(Independent(Normal(u(x), scale), 3) for u in (with_skip, without)))
    torch.testing.assert_close(skip_kl(with_skip, without, x, scale), expected)


def test_the_kl_is_what_the_projection_discards() -> None:
    """With F = 1 it is n^d/2s² times ‖(1 - E P) x‖², and 0 where there are no details."""
    identity = Pair(lambda x: x, lambda y: y)
    x = image(5, 1, 8, 8)
    net = without_skips([identity], pooling("db2"), 2)
    join = invertible_join(identity.backward, pooling("db2"))
    with_skip = PooledUNet((identity.forward,), (join,), pooling("db2"), 2).reconstruct
    without = net.reconstruct
    (lost,) = net.discarded(x)
    torch.testing.assert_close(skip_kl(with_skip, without, x, 0.5), 64 * lost / 0.5)
    assert skip_kl(with_skip, without, without(x), 0.5).max() < 1e-20
    with pytest.raises(ValueError, match="scale is 0"):
        skip_kl(with_skip, without, x, 0.0)


@every_wavelet
def test_the_ways_down_and_up_are_compositions(name: str) -> None:
    x, p = image(4, 1, 8, 8), pooling(name)
    coarse, fine = pair(16, seed=1), pair(64, seed=2)
    net = without_skips((coarse, fine), p, dims=2)
    bottom, low, high = net.down(x)
    torch.testing.assert_close(high, fine.forward(x))
    torch.testing.assert_close(low, coarse.forward(p.project(fine.forward(x))))
    torch.testing.assert_close(bottom, p.project(low))
    up = fine.backward(p.embed(coarse.backward(p.embed(bottom))))
    torch.testing.assert_close(net.up((bottom, low, high)), up)
    torch.testing.assert_close(net.reconstruct(x), up)
    for part, y in zip(net.discarded(x), (low, high), strict=True):
        kept = energy(p.embed(p.project(y)), 2)
        torch.testing.assert_close(part + kept, energy(y, 2))


def test_skips_at_every_level_give_the_image_back() -> None:
    x, p = image(4, 1, 8, 8), pooling("db2")
    pairs = pair(16, seed=1), pair(64, seed=2)
    joins = tuple(invertible_join(one.backward, p) for one in pairs)
    forwards = tuple(one.forward for one in pairs)
    net = PooledUNet(forwards, joins, p, dims=2)
    torch.testing.assert_close(net.reconstruct(x), x, rtol=0, atol=1e-11)
    plain = without_skips(pairs, p, dims=2)
    for one, other in zip(net.discarded(x), plain.discarded(x), strict=True):
        assert torch.equal(one, other)


def test_inversion_error_and_defect_show_a_wrong_inverse_at_its_level() -> None:
    x, p = image(4, 1, 8, 8), pooling("haar")
    coarse, fine = pair(16, seed=1), pair(64, seed=2)
    off = Pair(coarse.forward, partial(_shifted, coarse))
    net = without_skips((off, fine), p, dims=2)
    wrong, right = net.inversion_error(x)
    torch.testing.assert_close(wrong, torch.full_like(wrong, 0.25))
    assert right.max() < 1e-20
    wrong, right = net.defect(x)
    assert wrong.min() > 1e-3
    assert right.max() < 1e-20


def _shifted(one: Pair, y: Tensor) -> Tensor:
    return one.backward(y) + 0.5
