"""Equations 1 and 2 and theorem 3, checked: what a bottleneck discards, and what it costs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mrvae.data import load
from mrvae.papers.checks import Check
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
    yield Check(
        about="equation 1",
        check="U_θ is a projection: largest |U U x - U x|",
        at="leaky, digits",
        left=_largest(without(without(x)) - without(x)),
        right=1e-12,
        wrong="B of another F",
        wrong_left=_largest(foreign(foreign(x)) - foreign(x)),
    )
    yield Check(
        about="equation 2",
        check="U_φ is the identity: largest |U x - x|",
        at="leaky, digits",
        left=_largest(with_skip(x) - x),
        right=1e-12,
        wrong="no skip connection",
        wrong_left=_largest(broken(x) - x),
    )
    coarse = without(x)
    yield Check(
        about="equations 1, 2",
        check="KL(U_φ ‖ U_θ) in nats where F x has no details",
        at="leaky, digits",
        left=float(skip_kl(with_skip, without, coarse, 0.1).max()),
        right=1e-20,
        wrong="data with details",
        wrong_left=float(skip_kl(with_skip, without, x, 0.1).max()),
    )


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
        yield Check(
            about="theorem 3",
            check="less the defect of B F: a_J² ≤ W₂²",
            at=f"trained, step {inverse.step}",
            left=without,
            right=inverse.right,
            wrong="skip connections, defect left out",
            wrong_left=skipped.left,
            wrong_right=skipped.right,
        )
    for inverse, free, _ in rows:
        yield Check(
            about="theorem 3",
            check="both sides with B F ≈ 1, as trained",
            at=f"trained, step {inverse.step}",
            left=inverse.left,
            right=inverse.right,
            wrong="B F not held near 1",
            wrong_left=free.left,
            wrong_right=free.right,
            is_property=False,
        )
    yield from _ends(trainings)


def _ends(trainings: Trainings) -> Iterator[Check]:
    """Yield what the trainings came to, with B F near 1 and without."""
    first, last, free = trainings.inverse[0], trainings.inverse[-1], trainings.free[-1]
    where = f"trained, step {last.step}"
    wrong = "B F not held near 1"
    bands = zip(first.discarded, last.discarded, free.discarded, strict=True)
    for level, (before, after, other) in enumerate(bands):
        yield Check(
            "theorem 3, figure 1",
            f"energy discarded in U_{level}, and before training",
            where,
            after,
            before,
            wrong,
            other,
            is_property=False,
        )
    passing, other = sum(last.passing), sum(free.passing)
    yield Check(
        "theorem 3",
        "B_j F_j = 1: Σ ‖B_j F_j x_j - x_j‖² over Σ ‖y_j‖²",
        where,
        (last.inversion or 0.0) / passing,
        0.1,
        wrong,
        (free.inversion or 0.0) / other,
        is_property=False,
    )


def _counter_example() -> Check:
    x, net, right, literal = counter_example()
    good, bad = sides(net, x, [right]), sides(net, x, [literal])
    return Check(
        about="theorem 3",
        check="left side ≤ W₂², F = diag(0.1, 1), B = F⁻¹",
        at="counter-example, haar",
        left=good.left,
        right=good.right,
        wrong="constant of the projected map, as printed",
        wrong_left=bad.left,
        wrong_right=bad.right,
    )


def _identity(data: str, x: Tensor) -> Check:
    """Return the case F = 1, in which both sides are equal, against a projection that is none."""
    one = Pair(lambda x: x, lambda y: y)
    good, bad = (
        sides(without_skips((one,) * _DEPTH, resampling, 2), x, [1.0] * _DEPTH)
        for resampling in (Ladder(base=1, depth=_DEPTH), Subsampling(dims=2))
    )
    return Check(
        about="theorem 3",
        check="left side ≤ W₂², F = B = 1",
        at=f"identity, haar, {data}",
        left=good.left,
        right=good.right,
        wrong="every other pixel for P",
        wrong_left=bad.left,
        wrong_right=bad.right,
    )


def _coupling(data: str, x: Tensor) -> Check:
    """Return W₂² ≤ reconstruction error, against a transport that is not the best."""
    pairs, _ = invertible_pairs(linear_pair, _SIZE, _DEPTH, dims=2)
    rebuilt = without_skips(pairs, Ladder(base=1, depth=_DEPTH), 2).reconstruct(x)
    error = float(energy(rebuilt - x, dims=2).mean())
    shifted = float(energy(rebuilt.roll(1, 0) - x, dims=2).mean())
    return Check(
        about="theorem 3",
        check="W₂² ≤ reconstruction error",
        at=f"linear, haar, {data}",
        left=transport(rebuilt, x, dims=2)[0],
        right=error,
        wrong="transport to the next image, not the nearest",
        wrong_left=shifted,
    )


def _family(at: str, x: Tensor, wavelet: str, family: Family) -> Check:
    pairs, constants = invertible_pairs(family, _SIZE, _DEPTH, dims=2)
    net = without_skips(pairs, WaveletPooling(Wavelet(wavelet)), 2)
    good, bad = sides(net, x, constants), sides(remembering(net, x), x, constants)
    return Check(
        about="theorem 3",
        check="left side ≤ W₂², B = F⁻¹",
        at=at,
        left=good.left,
        right=good.right,
        wrong="a B that remembers the data",
        wrong_left=bad.left,
        wrong_right=bad.right,
    )


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
