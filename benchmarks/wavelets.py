"""How long a wavelet transform takes, ours against the two libraries for torch that there are.

    python benchmarks/wavelets.py --threads 1 --json results/wavelets.json
    python benchmarks/wavelets.py --table results/wavelets.json

One step is an analysis of three levels and the synthesis, of 64 × 3 × 128 × 128 pixels in float32;
``both`` adds the backward pass. All transforms take turns within one process, and so does the
floor: copying the images once for the analysis and once for the synthesis, and again for the
backward pass, which is all the memory traffic that no transform can do without.

ptwt (its convolutions, mode "periodic", and its matrices, which alone are orthonormal) and
pytorch_wavelets (mode "periodization") are left out, with a line, where they are not installed.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from itertools import product
from pathlib import Path
from typing import Literal

import torch
import tyro
from torch import Tensor

from mrvae.resolution import Wavelet
from pairing import Place, Report, Step, Timing, ratios, take_turns

Pass = Literal["forward", "both"]
Transform = Callable[[Tensor], Tensor]

_SHAPE = (64, 3, 128, 128)
_LEVELS = 3
_OURS, _FLOOR = "ours", "copy"


@dataclass(frozen=True)
class Options(Place):
    """What to time.

    Attributes:
        wavelets: names, as PyWavelets has them.
        passes: forward alone, or both with the backward pass.
        rounds: timed rounds, in each of which every transform has one turn.
        warmup: rounds before them that are not counted.
        compiled: also time ours under torch.compile.
    """

    wavelets: tuple[str, ...] = ("haar", "db4")
    passes: tuple[Pass, ...] = ("forward", "both")
    rounds: int = 20
    warmup: int = 3
    compiled: bool = False


@dataclass(frozen=True)
class Result:
    """One wavelet and pass: the seconds of every transform, by its name."""

    wavelet: str
    passes: str
    times: dict[str, Timing]


# --------------------------------------------------------------------------------- the transforms


def ours(name: str) -> Transform:
    """Return analysis and synthesis by this package."""
    wavelet = Wavelet(name)
    return lambda x: wavelet.synthesis(wavelet.analysis(x, _LEVELS))


def by_convolution(name: str) -> Transform:
    """Return those of ptwt, periodic; for filters longer than Haar's not orthonormal."""
    import ptwt

    def transform(x: Tensor) -> Tensor:
        parts = ptwt.wavedec2(x, name, mode="periodic", level=_LEVELS)
        back: Tensor = ptwt.waverec2(parts, name)
        return back

    return transform


def by_matrices(name: str) -> Transform:
    """Return those of ptwt by sparse matrices, orthonormal by boundary filters."""
    import ptwt

    down, up = ptwt.MatrixWavedec2(name, level=_LEVELS), ptwt.MatrixWaverec2(name)

    def transform(x: Tensor) -> Tensor:
        back: Tensor = up(down(x))
        return back

    return transform


def by_filters(name: str, device: torch.device) -> Transform:
    """Return those of pytorch_wavelets, periodised."""
    import pytorch_wavelets

    down = pytorch_wavelets.DWTForward(J=_LEVELS, wave=name, mode="periodization").to(device)
    up = pytorch_wavelets.DWTInverse(wave=name, mode="periodization").to(device)

    def transform(x: Tensor) -> Tensor:
        back: Tensor = up(down(x))
        return back

    return transform


def transforms(name: str, options: Options) -> dict[str, Transform]:
    """Return every transform that can be had here."""
    found = {_OURS: ours(name)}
    if options.compiled:
        found["ours, compiled"] = torch.compile(ours(name))
    if installed("ptwt"):
        found["ptwt"] = by_convolution(name)
        found["ptwt, matrices"] = by_matrices(name)
    if installed("pytorch_wavelets"):
        found["pytorch_wavelets"] = by_filters(name, torch.device(options.device))
    return found


def installed(module: str) -> bool:
    """Tell whether a library can be imported, and say why if it cannot."""
    try:
        import_module(module)
    except ImportError as error:
        sys.stderr.write(f"{module} is left out: {error}\n")
        return False
    return True


def checked(transform: Transform, x: Tensor) -> Transform:
    """Return a transform that gives the images back.

    Raises:
        ValueError: if it does not.
    """
    error = (transform(x) - x).abs().max().item()
    if error > 1e-3:
        raise ValueError(f"the images come back with an error of {error:.1e}, above 1e-3")
    return transform


def step(transform: Transform, x: Tensor, passes: Pass) -> Step:
    """Return what is timed."""
    if passes == "forward":
        return lambda _: transform(x)
    leaf, cotangent = x.clone().requires_grad_(), torch.ones_like(x)
    return lambda _: torch.autograd.grad(transform(leaf), leaf, cotangent)


def floor(x: Tensor, passes: Pass) -> Step:
    """Return the copies that stand for the least memory traffic."""
    there, copies = torch.empty_like(x), 2 if passes == "forward" else 4
    return lambda _: [there.copy_(x) for _ in range(copies)]


def compare(name: str, passes: Pass, options: Options) -> Result:
    """Time every transform of one wavelet in turns."""
    torch.compiler.reset()
    device = torch.device(options.device)
    x = torch.randn(_SHAPE, generator=torch.Generator().manual_seed(0)).to(device)
    steps = {
        label: step(checked(transform, x), x, passes)
        for label, transform in transforms(name, options).items()
    }
    steps[_FLOOR] = floor(x, passes)
    times = take_turns(list(steps.values()), options.rounds, options.warmup, device)
    return Result(name, passes, dict(zip(steps, times, strict=True)))


# ---------------------------------------------------------------------------------------- reports

HEADINGS = (
    "wavelet",
    "pass",
    "transform",
    "ms",
    "ours is times faster (min–max)",
    "by CPU time",
    "times the copy",
)


def rows(results: list[Result]) -> Iterator[tuple[str, ...]]:
    """Yield one line of the table for each transform."""
    for result in results:
        mine, copy = result.times[_OURS], result.times[_FLOOR]
        for label, timing in result.times.items():
            wall, cpu = ratios(timing.wall, mine.wall), ratios(timing.cpu, mine.cpu)
            yield (
                result.wavelet,
                result.passes,
                label,
                f"{1e3 * statistics.median(timing.wall):.1f}",
                f"{wall[0]:.2f} ({wall[1]:.2f}–{wall[2]:.2f})",
                f"{cpu[0]:.2f}",
                f"{ratios(timing.wall, copy.wall)[0]:.1f}",
            )


def read(path: Path) -> list[Result]:
    """Read the results of an earlier run."""
    return [
        Result(
            found["wavelet"],
            found["passes"],
            {label: Timing(**timing) for label, timing in found["times"].items()},
        )
        for found in json.loads(path.read_text())["results"]
    ]


REPORT = Report(
    f"{_LEVELS} levels there and back, {' × '.join(map(str, _SHAPE))}, taken in turns",
    HEADINGS,
    rows,
    read,
    width=120,
)


def main(options: Options) -> None:
    """Time what is asked for, and print and write it."""
    counts = {"rounds": options.rounds, "warmup": options.warmup}
    cases = product(options.wavelets, options.passes)
    REPORT.make(
        options, counts, ((", ".join(case), partial(compare, *case, options)) for case in cases)
    )


if __name__ == "__main__":
    main(tyro.cli(Options))
