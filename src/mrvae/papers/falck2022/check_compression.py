"""Equations 1 and 2 and theorem 3, checked: what a bottleneck discards, and what it costs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mrvae.data import load
from mrvae.papers.checks import Check, Claim
from mrvae.papers.falck2022.autoencoder import AutoencoderTraining, Snapshot, measure_training
from mrvae.papers.falck2022.bottleneck import (
    Pair,
    PooledUNet,
    invertible_join,
    skip_kl,
    without_skips,
)
from mrvae.papers.falck2022.checks import Subsampling
from mrvae.papers.falck2022.compression import (
    Family,
    counter_example,
    invertible_pairs,
    leaky_pair,
    linear_pair,
    remembering,
    sides,
)
from mrvae.papers.falck2022.transport import energy, transport
from mrvae.resolution import Ladder, Wavelet, WaveletPooling

_WAVELETS = ("haar", "db2", "db4")
_FAMILIES: tuple[tuple[str, Family], ...] = (("linear", linear_pair), ("leaky", leaky_pair))
_SIZE, _DEPTH = 8, 3
_PROJECTION = Claim(
    "equation 1", "U_θ is a projection: largest |U U x - U x|", "B of another F", 1e-12
)
_IDENTITY = Claim(
    "equation 2", "U_φ is the identity: largest |U x - x|", "no skip connection", 1e-12
)
_NO_COST = Claim(
    *("equations 1, 2", "KL(U_φ ‖ U_θ) in nats where F x has no details", "data with details"),
    right=1e-20,
)
_COUNTER, _EQUAL, _TRANSPORT, _BOUND, _LESS_DEFECT = (
    Claim("theorem 3", check, wrong)
    for check, wrong in (
        (
            "left side ≤ W₂², F = diag(0.1, 1), B = F⁻¹",
            "constant of the projected map, as printed",
        ),
        ("left side ≤ W₂², F = B = 1", "every other pixel for P"),
        ("W₂² ≤ reconstruction error", "transport to the next image, not the nearest"),
        ("left side ≤ W₂², B = F⁻¹", "a B that remembers the data"),
        ("less the defect of B F: a_J² ≤ W₂²", "skip connections, defect left out"),
    )
)
_FREE = "B F not held near 1"
_AS_TRAINED, _INVERSION = (
    Claim("theorem 3", check, _FREE, right, is_property=False)
    for check, right in (
        ("both sides with B F ≈ 1, as trained", 0.0),
        ("B_j F_j = 1: Σ ‖B_j F_j x_j - x_j‖² over Σ ‖y_j‖²", 0.1),
    )
)


@dataclass(frozen=True)
class Trainings:
    """Three autoencoders, measured at the same steps.

    Attributes:
        inverse: trained to reconstruct with B F ≈ 1.
        free: trained to reconstruct, no more.
        skipped: the same, with skip connections.
    """

    inverse: tuple[Snapshot, ...]
    free: tuple[Snapshot, ...]
    skipped: tuple[Snapshot, ...]


def digits() -> Tensor:
    """Return the built-in digits for training on [0, 1], float64, of shape (1300, 1, 8, 8).

    Example:
        >>> digits().shape, digits().max().item()
        (torch.Size([1300, 1, 8, 8]), 1.0)
    """
    images = load("digits", "train")
    return images.tensor().double() / (images.bins - 1)


def train_all(
    at: Sequence[int], width: int, measured: int, progress: Callable[[str], None]
) -> Trainings:
    """Train the three autoencoders, and measure them at the same steps.

    Args:
        at: the steps, from 0 to the last, to which they are trained.
        width: channels inside their networks.
        measured: how many digits are measured; these are not trained on.
        progress: called with a line for every measurement.
    """
    images, steps = digits(), at[-1]
    found = []
    for plan in (
        AutoencoderTraining(steps, width, inversion=4.0),
        AutoencoderTraining(steps, width),
        AutoencoderTraining(steps, width, skip=True),
    ):
        snapshots = measure_training(plan, images[measured:], images[:measured], at, progress)
        found.append(tuple(snapshots))
    return Trainings(*found)


def checks_of_bottlenecks() -> Iterator[Check]:
    """Yield the checks of equations 1 and 2, with an invertible F on digits.

    Source: Falck et al. 2022, equations 1 and 2.

    Example:
        >>> [check.passes for check in checks_of_bottlenecks()]
        [True, True, True]
    """
    x, generator = digits()[:50], torch.Generator().manual_seed(0)
    pair, _ = leaky_pair(_SIZE**2, generator)
    other, _ = leaky_pair(_SIZE**2, generator)
    ladder = Ladder(base=1, depth=_DEPTH)
    without, foreign = (
        without_skips((Pair(pair.forward, one.backward),), ladder, 2).reconstruct
        for one in (pair, other)
    )
    join = invertible_join(pair.backward, ladder)
    with_skip = PooledUNet((pair.forward,), (join,), ladder, 2).reconstruct
    broken = without_skips((pair,), ladder, 2).reconstruct
    wrong = _largest(foreign(foreign(x)) - foreign(x))
    yield _PROJECTION.at("leaky, digits", _largest(without(without(x)) - without(x)), wrong)
    yield _IDENTITY.at("leaky, digits", _largest(with_skip(x) - x), _largest(broken(x) - x))
    costs = (float(skip_kl(with_skip, without, y, 0.1).max()) for y in (without(x), x))
    yield _NO_COST.at("leaky, digits", *costs)


def checks_of_theorem_3(count: int) -> Iterator[Check]:
    """Yield the checks of theorem 3 with maps that are exactly invertible.

    Args:
        count: functions in each sample.

    Source: Falck et al. 2022, theorem 3; :mod:`mrvae.papers.falck2022.compression`.

    Example:
        >>> check = next(checks_of_theorem_3(count=4))
        >>> check.at, check.passes, round(check.wrong_left)
        ('counter-example, haar', True, 100)
    """
    yield _counter_example()
    samples = {"digits": digits()[:count], "two clusters": _clusters(count)}
    for data, x in samples.items():
        yield _identity(data, x)
        yield _coupling(data, x)
        for wavelet in _WAVELETS:
            for kind, family in _FAMILIES:
                yield _family(f"{kind}, {wavelet}, {data}", x, wavelet, family)


def checks_of_training(trainings: Trainings) -> Iterator[Check]:
    """Yield what the three trainings show: a property at every step measured, and observations.

    Source: Falck et al. 2022, theorem 3 and figure 1.
    """
    rows = list(zip(trainings.inverse, trainings.free, trainings.skipped, strict=True))[1:]
    for inverse, _, skipped in rows:
        # The third net has one, so that neither is None here.
        without = 0.0 if inverse.left_with_defect is None else inverse.left_with_defect
        yield _LESS_DEFECT.at(
            f"trained, step {inverse.step}", without, skipped.left, inverse.right, skipped.right
        )
    for inverse, free, _ in rows:
        yield _AS_TRAINED.at(
            f"trained, step {inverse.step}", inverse.left, free.left, inverse.right, free.right
        )
    yield from _ends(trainings)


def _ends(trainings: Trainings) -> Iterator[Check]:
    """Yield what the trainings came to, with B F near 1 and without."""
    first, last, free = trainings.inverse[0], trainings.inverse[-1], trainings.free[-1]
    where = f"trained, step {last.step}"
    bands = zip(first.discarded, last.discarded, free.discarded, strict=True)
    for level, (before, after, other) in enumerate(bands):
        check = f"energy discarded in U_{level}, and before training"
        claim = Claim("theorem 3, figure 1", check, _FREE, is_property=False)
        yield claim.at(where, after, other, before)
    inversions = ((one.inversion or 0.0) / sum(one.passing) for one in (last, free))
    yield _INVERSION.at(where, *inversions)


def _counter_example() -> Check:
    x, net, right, literal = counter_example()
    good, bad = sides(net, x, [right]), sides(net, x, [literal])
    return _COUNTER.at("counter-example, haar", good.left, bad.left, good.right, bad.right)


def _identity(data: str, x: Tensor) -> Check:
    """Return the case F = 1, in which both sides are equal, against a projection that is none."""
    one = Pair(lambda x: x, lambda y: y)
    good, bad = (
        sides(without_skips((one,) * _DEPTH, resampling, 2), x, [1.0] * _DEPTH)
        for resampling in (Ladder(base=1, depth=_DEPTH), Subsampling(dims=2))
    )
    return _EQUAL.at(f"identity, haar, {data}", good.left, bad.left, good.right, bad.right)


def _coupling(data: str, x: Tensor) -> Check:
    """Return W₂² ≤ reconstruction error, against a transport that is not the best."""
    pairs, _ = invertible_pairs(linear_pair, _SIZE, _DEPTH, dims=2)
    rebuilt = without_skips(pairs, Ladder(base=1, depth=_DEPTH), 2).reconstruct(x)
    error = float(energy(rebuilt - x, dims=2).mean())
    shifted = float(energy(rebuilt.roll(1, 0) - x, dims=2).mean())
    squared, _ = transport(rebuilt, x, dims=2)
    return _TRANSPORT.at(f"linear, haar, {data}", squared, shifted, error)


def _family(at: str, x: Tensor, wavelet: str, family: Family) -> Check:
    pairs, constants = invertible_pairs(family, _SIZE, _DEPTH, dims=2)
    net = without_skips(pairs, WaveletPooling(Wavelet(wavelet)), 2)
    good, bad = sides(net, x, constants), sides(remembering(net, x), x, constants)
    return _BOUND.at(at, good.left, bad.left, good.right, bad.right)


def _clusters(count: int) -> Tensor:
    """Return noise around two images, one light and one dark."""
    generator = torch.Generator().manual_seed(0)
    shape = (count, 1, _SIZE, _SIZE)
    noise = torch.randn(shape, generator=generator, dtype=torch.float64)
    noise[::2] += 3
    noise[1::2] -= 3
    return noise


def _largest(x: Tensor) -> float:
    return float(x.abs().max())
