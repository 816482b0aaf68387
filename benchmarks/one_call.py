"""How much faster one call for the prior and the posterior of a cell is than two.

    python benchmarks/one_call.py --threads 1 --json results/one_call.json
    python benchmarks/one_call.py --quick
    python benchmarks/one_call.py --table results/one_call.json

Both networks of VDVAE's cell are bottlenecks that begin with the same state, and narrow ones have
few channels for a processor's vectors. Side by side they are one bottleneck of twice the inner
channels, whose weights between the two halves are zeros: the same function in half as many
convolutions, which for zeros do up to twice the operations. Both ways, forward and backward, take
turns in one process; the shapes are those of MNIST x1, resolution by resolution. ``mrvae`` makes
two calls.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import cast

import torch
import tyro
from torch import Tensor, nn
from torch.nn import functional

from mrvae.layers import Bottleneck
from pairing import Place, Report, Timing, ratios, take_turns, written

WIDTH, MIDDLE, LATENT, BATCH = 32, 8, 8, 32
_READ, _WRITTEN = 2 * LATENT, 2 * LATENT + WIDTH

Networks = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Options(Place):
    """What to time.

    Attributes:
        sizes: pixels a side.
        compiled: whether either way is compiled.
        rounds: timed pairs.
        warmup: pairs before them that are not counted.
        quick: three pairs at the smallest size, and nothing compiled.
    """

    sizes: tuple[int, ...] = (32, 16, 8, 4)
    compiled: tuple[bool, ...] = (False, True)
    rounds: int = 40
    warmup: int = 4
    quick: bool = False


@dataclass(frozen=True)
class Result:
    """Both ways at one size."""

    size: int
    compiled: bool
    difference: float
    two_calls: Timing
    one_call: Timing


def two_calls(posterior: Bottleneck, prior: Bottleneck) -> Networks:
    """Return the networks as the cell calls them, of h and GELU(e)."""
    return lambda h, e: (posterior.forward_pair(h, e), prior(h))


def one_call(posterior: Bottleneck, prior: Bottleneck) -> Networks:
    """Return the same networks side by side."""
    layers = [
        (posterior.first, prior.first),
        (posterior.second, prior.second),
        (posterior.leave, prior.leave),
    ]

    def both(h: Tensor, e: Tensor) -> tuple[Tensor, Tensor]:
        of_h, of_e = torch.split(posterior.enter.weight, WIDTH, dim=1)
        enter = torch.cat([of_h, prior.enter.weight])
        x = functional.conv2d(functional.gelu(h), enter, _biases(posterior.enter, prior.enter))
        x = x + functional.conv2d(e, functional.pad(of_e, (0, 0, 0, 0, 0, 0, 0, MIDDLE)))
        for one, other in layers:
            weight, bias = block_diagonal(one.weight, other.weight), _biases(one, other)
            x = functional.conv2d(functional.gelu(x), weight, bias, padding=one.padding)
        read, added = torch.split(x, [_READ, _WRITTEN], dim=1)
        return read, added

    return both


def block_diagonal(one: Tensor, other: Tensor) -> Tensor:
    """Return the weights of two convolutions side by side, channels last."""
    upper = functional.pad(one, (0, 0, 0, 0, 0, other.shape[1]))
    lower = functional.pad(other, (0, 0, 0, 0, one.shape[1], 0))
    return torch.cat([upper, lower]).contiguous(memory_format=torch.channels_last)


def _biases(one: nn.Conv2d, other: nn.Conv2d) -> Tensor:
    return torch.cat([cast(Tensor, one.bias), cast(Tensor, other.bias)])


def networks(size: int) -> tuple[Bottleneck, Bottleneck]:
    """Return the networks of posterior and prior at a size."""
    kernel = 3 if size > 2 else 1
    pair = Bottleneck(2 * WIDTH, MIDDLE, _READ, kernel), Bottleneck(WIDTH, MIDDLE, _WRITTEN, kernel)
    for each in pair:
        each.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return pair


def compare(size: int, compiled: bool, options: Options) -> Result:
    """Time both ways at one size."""
    torch.manual_seed(0)
    device = torch.device(options.device)
    pair = [each.to(device) for each in networks(size)]
    ways = [two_calls(*pair), one_call(*pair)]
    h, e, of_read, of_added = (
        torch.randn(BATCH, channels, size, size, device=device).contiguous(
            memory_format=torch.channels_last
        )
        for channels in (WIDTH, WIDTH, _READ, _WRITTEN)
    )
    with torch.no_grad():
        there, here = (torch.cat(way(h, e), dim=1) for way in ways)
    h.requires_grad_()
    e.requires_grad_()
    ways = [cast(Networks, torch.compile(way)) for way in ways] if compiled else ways

    def step(way: Networks) -> Callable[[int], None]:
        return lambda _: torch.autograd.backward(way(h, e), [of_read, of_added])

    timings = take_turns([step(way) for way in ways], options.rounds, options.warmup, device)
    return Result(size, compiled, float((there - here).abs().max()), *timings)


HEADINGS = (
    "pixels a side",
    "compiled",
    "two calls, ms",
    "one call, ms",
    "two / one (min–max)",
    "by CPU time",
    "largest difference",
)


def rows(results: list[Result]) -> Iterator[tuple[str, ...]]:
    """Yield one line of the table for each size and way."""
    for each in results:
        wall = ratios(each.two_calls.wall, each.one_call.wall)
        yield (
            str(each.size),
            "yes" if each.compiled else "no",
            *(f"{1e3 * statistics.median(t.wall):.2f}" for t in (each.two_calls, each.one_call)),
            f"{wall[0]:.2f} ({wall[1]:.2f}–{wall[2]:.2f})",
            f"{ratios(each.two_calls.cpu, each.one_call.cpu)[0]:.2f}",
            f"{each.difference:.0e}",
        )


def read(path: Path) -> list[Result]:
    """Read the results of an earlier run."""
    return [Result(**each) for each in written(path)]


REPORT = Report("Prior and posterior of one cell", HEADINGS, rows, read, width=120)


def main(options: Options) -> None:
    """Time what is asked for, and print and write it."""
    if options.quick:
        options = replace(options, sizes=(4,), compiled=(False,), rounds=3, warmup=1)
    counts = {"rounds": options.rounds, "warmup": options.warmup}
    cases = (
        (
            f"{size}, {'compiled' if compiled else 'eager'}",
            partial(compare, size, compiled, options),
        )
        for compiled, size in product(options.compiled, options.sizes)
    )
    REPORT.make(options, counts, cases)


if __name__ == "__main__":
    main(tyro.cli(Options))
