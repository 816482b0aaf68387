"""Theorem 3 of Falck et al. 2022: where it holds, where it does not, and its counter-example."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from functools import partial

import pytest
import torch
from scipy.stats import wasserstein_distance
from torch import Tensor

from helpers.linear import image
from helpers.members import for_all
from mrvae.papers.falck2022.bottleneck import Join, Pair, PooledUNet, without_skips
from mrvae.papers.falck2022.checks import Subsampling
from mrvae.papers.falck2022.compression import (
    Family,
    Sides,
    counter_example,
    invertible_pairs,
    leaky_pair,
    linear_pair,
    remembering,
    sides,
    sides_with_defect,
)
from mrvae.papers.falck2022.transport import energy, transport
from mrvae.resolution import Ladder, Wavelet, WaveletPooling

both_dims = for_all("dims", [1, 2])
every_family = for_all("family", [linear_pair, leaky_pair])
every_wavelet = for_all("name", ["haar", "db2", "db4"])
DEPTH, SIZE = 3, 8


def chain(
    family: Family, name: str, dims: int, seed: int = 0
) -> tuple[PooledUNet, tuple[float, ...]]:
    pairs, constants = invertible_pairs(family, SIZE, DEPTH, dims, seed)
    return without_skips(pairs, WaveletPooling(Wavelet(name, dims)), dims), constants


def data(kind: str, dims: int, count: int = 60) -> Tensor:
    """Data sets of different shapes: a cloud, two clusters, a line, heavy tails, one point."""
    x = image(count, *(SIZE,) * dims, seed=7)
    match kind:
        case "clusters":
            return x + 6 * (torch.arange(count) % 2).view(-1, *(1,) * dims)
        case "line":
            return x[:1] * torch.linspace(-2, 2, count, dtype=x.dtype).view(-1, *(1,) * dims)
        case "heavy":
            return x**5
        case "point":
            return x[:1].expand_as(x)
    return x


# ---------------------------------------------------------------------------------- transport


def test_on_the_line_transport_is_sorting() -> None:
    """In one dimension the best permutation sorts both samples; SciPy gives W₁ there too."""
    x, y = image(50, 1), 2 * image(50, 1, seed=1) + 1
    squared, _ = transport(x, y, dims=1)
    by_sorting = (x.sort(0).values - y.sort(0).values).square().mean()
    assert squared == pytest.approx(float(by_sorting), rel=1e-12)
    first = wasserstein_distance(x.flatten().numpy(), y.flatten().numpy())
    assert first**2 <= squared


@both_dims
def test_transport_is_the_best_of_all_permutations(dims: int) -> None:
    x, y = image(6, *(4,) * dims), image(6, *(4,) * dims, seed=1)
    squared, permutation = transport(x, y, dims)
    costs = [
        float(energy(x - y[list(order)], dims).mean()) for order in itertools.permutations(range(6))
    ]
    assert squared == pytest.approx(min(costs), rel=1e-12)
    assert float(energy(x - y[permutation], dims).mean()) == pytest.approx(squared)


def test_transport_is_a_metric_independent_of_order_and_resolution() -> None:
    x, y, z = (image(30, 2, 4, 4, seed=seed) for seed in range(3))
    distance = {
        pair: math.sqrt(transport(*pair_of, dims=2)[0])
        for pair, pair_of in {"xy": (x, y), "yx": (y, x), "yz": (y, z), "xz": (x, z)}.items()
    }
    assert distance["xy"] == pytest.approx(distance["yx"])
    assert distance["xz"] < distance["xy"] + distance["yz"]
    assert transport(x, x.flip(0), dims=2)[0] == 0
    ladder = Ladder(base=4, depth=1)
    assert transport(ladder.embed(x), ladder.embed(y), dims=2)[0] == pytest.approx(
        distance["xy"] ** 2
    )


def test_energy_sums_channels_and_averages_pixels() -> None:
    x = image(3, 2, 4, 4)
    torch.testing.assert_close(energy(x, 2), x.square().sum((1, 2, 3)) / 16)
    torch.testing.assert_close(energy(x[:, 0, 0], 1), x[:, 0, 0].square().mean(-1))


# ---------------------------------------------------------------------------- counter-example


def test_read_literally_the_theorem_has_a_counter_example() -> None:
    """F = diag(0.1, 1), B = F⁻¹: with the constant of proj ∘ F the left side is 100, not ≤ 1."""
    x, net, _, projected = counter_example()
    literal = sides(net, x, [projected])
    assert literal.left == pytest.approx(100)
    assert literal.right == pytest.approx(1)
    assert not literal.holds


def test_the_counter_example_keeps_the_hypotheses() -> None:
    x, net, whole, projected = counter_example()
    (forward,), (backward,) = net.forwards, net.backwards
    torch.testing.assert_close(backward(forward(x), x), x)
    # Both constants by brute force: the largest stretching of differences.
    y, pooled = forward(x), net.down(x)[0]
    distances = [torch.cdist(part, part) / math.sqrt(part.shape[-1]) for part in (x, y, pooled)]
    apart = distances[0] > 0
    stretched = (distances[1][apart] / distances[0][apart]).max()
    assert stretched <= whole + 1e-12
    assert (distances[2][apart] / distances[0][apart]).max() == pytest.approx(projected)


def test_with_the_constant_of_the_whole_map_it_is_an_equality_there() -> None:
    x, net, whole, _ = counter_example()
    good = sides(net, x, [whole])
    assert good.left == pytest.approx(good.right) == pytest.approx(1)
    assert good.holds


# ------------------------------------------------------------------- where the theorem holds


@both_dims
@every_family
@every_wavelet
@for_all("kind", ["cloud", "clusters", "line", "heavy", "point"])
def test_it_holds_with_exact_inverses_on_every_data_set(
    family: Family, name: str, dims: int, kind: str
) -> None:
    net, constants = chain(family, name, dims)
    x = data(kind, dims)
    both = sides(net, x, constants)
    assert both.holds
    assert both.left > 0
    assert not sides(remembering(net, x), x, constants).holds


@every_family
@for_all("seed", range(10))
def test_it_holds_for_every_pair_not_only_on_average(family: Family, seed: int) -> None:
    """‖x - x̂‖² is bounded also for reconstructions of other data: hence for every coupling."""
    net, constants = chain(family, "haar", 1, seed)
    x = image(40, SIZE, seed=seed)
    rebuilt = net.reconstruct(image(40, SIZE, seed=seed + 100))
    products = [math.prod(constants[level:]) for level in range(DEPTH)]
    lost = sum(part / p**2 for part, p in zip(net.discarded(x), products, strict=True))
    for shift in range(0, 40, 7):
        assert (lost <= energy(x - rebuilt.roll(shift, 0), 1) + 1e-12).all()


@both_dims
def test_with_identities_both_sides_are_equal(dims: int) -> None:
    one = Pair(lambda x: x, lambda y: y)
    x = data("cloud", dims)
    net = without_skips((one,) * DEPTH, Ladder(1, DEPTH, dims), dims)
    both = sides(net, x, [1.0] * DEPTH)
    assert both.left == pytest.approx(both.right)


@both_dims
def test_without_an_orthogonal_projection_it_fails(dims: int) -> None:
    one = Pair(lambda x: x, lambda y: y)
    x = data("cloud", dims, 200)
    net = without_skips((one,) * DEPTH, Subsampling(dims), dims)
    both = sides(net, x, [1.0] * DEPTH)
    assert not both.holds


@both_dims
def test_with_constants_that_are_too_small_it_fails(dims: int) -> None:
    """The smallest stretching, 0.5, in place of the largest."""
    net, _ = chain(linear_pair, "haar", dims)
    assert not sides(net, data("cloud", dims), [0.5] * DEPTH).holds


@both_dims
@every_family
def test_the_families_are_invertible_with_their_lipschitz_constants(
    family: Family, dims: int
) -> None:
    pairs, constants = invertible_pairs(family, SIZE, DEPTH, dims)
    for level, (pair, constant) in enumerate(zip(pairs, constants, strict=True), 1):
        x = image(30, *(1 << level,) * dims, seed=level)
        torch.testing.assert_close(pair.backward(pair.forward(x)), x, rtol=0, atol=1e-11)
        torch.testing.assert_close(pair.forward(pair.backward(x)), x, rtol=0, atol=1e-11)
        y = pair.forward(x).flatten(1)
        stretched = torch.pdist(y) / torch.pdist(x.flatten(1))
        assert stretched.max() <= constant + 1e-12
        jacobian = torch.func.jacrev(partial(_one, pair))(x[0])
        norm = torch.linalg.matrix_norm(jacobian.reshape(len(y[0]), -1), 2)
        assert norm <= constant + 1e-12
        if family is linear_pair:
            assert norm == pytest.approx(constant)


def _one(pair: Pair, x: Tensor) -> Tensor:
    return pair.forward(x[None])[0]


# --------------------------------------------------------------------- without exact inverses


def spoiled(net: PooledUNet, by: float) -> PooledUNet:
    """B_j off by a constant function: every defect d_j is that of F_j moved by it."""
    return replace(net, backwards=tuple(partial(_moved, b, by) for b in net.backwards))


def _moved(backward: Join, by: float, embedded: Tensor, y: Tensor) -> Tensor:
    return backward(embedded, y) + by * torch.cos(3 * embedded)


@both_dims
@every_family
@for_all("by", [0.0, 0.01, 0.1, 1.0])
def test_less_the_defect_it_holds_for_any_decoder(family: Family, dims: int, by: float) -> None:
    net, constants = chain(family, "haar", dims)
    x = data("clusters", dims)
    for other in (spoiled(net, by), remembering(net, x)):
        assert sides_with_defect(other, x, constants).holds
    exact = sides_with_defect(net, x, constants)
    assert exact.left == pytest.approx(sides(net, x, constants).left, rel=1e-9)


def test_the_defect_is_needed() -> None:
    net, constants = chain(linear_pair, "haar", 1)
    x = data("cloud", 1)
    recalling = remembering(net, x)
    assert sum(float(part.mean()) for part in recalling.defect(x)) > 0.1
    assert not sides(recalling, x, constants).holds
    assert max(float(part.max()) for part in net.defect(x)) < 1e-20


def test_what_makes_no_sense_is_refused() -> None:
    net, constants = chain(linear_pair, "haar", 1)
    with pytest.raises(ValueError, match="a positive one for each of 3 levels"):
        sides(net, data("cloud", 1), constants[:2])
    with pytest.raises(ValueError, match="a positive one"):
        sides_with_defect(net, data("cloud", 1), (1.0, 0.0, 1.0))
    with pytest.raises(ValueError, match="two samples of one size"):
        transport(image(3, 2), image(4, 2), 1)
    assert Sides(1.0, 1.0 - 1e-12).holds
    assert not Sides(1.0, 0.99).holds
