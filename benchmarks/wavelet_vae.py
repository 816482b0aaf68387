"""What the transform costs a wavelet VAE, and what it would cost with ptwt's.

    python benchmarks/wavelet_vae.py --threads 1 --json results/wavelet_vae_step.json
    python benchmarks/wavelet_vae.py --table results/wavelet_vae_step.json

The models are ``kiruluta2025-cifar10-{32,128}-wavelet-elbo``, the Haar transform with an encoder
of 64 channels, and a step is the whole update that ``mrvae train`` makes. Kiruluta (2025, section
4.5) remarks that the transform costs little; beside the step stands the transform alone: the
analyses that the encoder asks for, whose images need no gradient, and the syntheses of the decoder
there and back, of the same shapes.

The third side is the same network, weight for weight, with ptwt's periodic convolutions as the
transform; its bound has to be the same before it is timed. It is left out, with a line, where ptwt
is not installed. All sides take turns within one process, and each round gives one ratio. The share
is one of CPU seconds: a transform is over before another process gets its turn, and a step is not,
so that on a busy machine the wall would make it out too small.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import torch
import tyro
from accelerate import Accelerator
from msgspec.structs import replace
from torch import Tensor

from mrvae.data import Images, Stream
from mrvae.models import HVAE
from mrvae.models.build import build
from mrvae.models.wavelet.bands import Synthesis
from mrvae.models.wavelet.encoder import WaveletEncoder
from mrvae.recipes import recipe
from mrvae.recipes.schema import SkipRule, Training
from mrvae.resolution import Coefficients, Wavelet
from mrvae.resolution.haar import Haar
from mrvae.training.update import Updater
from pairing import Place, Report, Step, Timing, ratios, take_turns

_IMAGES = 64
_OURS, _TRANSFORM, _PTWT = "step", "transform alone", "step with ptwt"


@dataclass(frozen=True)
class Options(Place):
    """What to time.

    Attributes:
        sizes: of the images, 32 or 128.
        batch: images in a step.
        rounds: timed rounds, in each of which every side has one turn.
        warmup: rounds before them that are not counted.
    """

    sizes: tuple[int, ...] = (32, 128)
    batch: int = 8
    rounds: int = 20
    warmup: int = 3


@dataclass(frozen=True)
class Result:
    """One size: the seconds of every side, by its name."""

    size: int
    batch: int
    parameters: int
    times: dict[str, Timing]


# -------------------------------------------------------------------------------------- the sides


class HaarOfPtwt(Haar):
    """One step of ptwt's transform, in our shapes."""

    def analysis(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Split (…, 2h, 2w) into (…, h, w) and (…, 3, h, w)."""
        import ptwt

        coarse, details = ptwt.wavedec2(x, "haar", mode="periodic", level=1)
        return coarse, torch.stack(tuple(details), dim=-3)

    def synthesis(self, coarse: Tensor, details: Tensor) -> Tensor:
        """Undo it."""
        import ptwt

        parts = ptwt.WaveletDetailTuple2d(*details.unbind(-3))
        x: Tensor = ptwt.waverec2((coarse, parts), "haar")
        return x


class WaveletOfPtwt(Wavelet):
    """ptwt's transform, in the place of ours."""

    @property
    def step(self) -> Haar:
        """One step of it."""
        return HaarOfPtwt()

    def analysis(self, x: Tensor, levels: int) -> Coefficients:
        """Change to the wavelet basis, by ptwt's own loop over levels."""
        import ptwt

        coarse, *details = ptwt.wavedec2(x, "haar", mode="periodic", level=levels)
        return Coefficients(coarse, tuple(torch.stack(tuple(each), dim=-3) for each in details))


def with_ptwt(model: HVAE, x: Tensor, noise: Tensor) -> HVAE:
    """Return a copy of a model with ptwt's transform.

    Raises:
        ValueError: if its bound is another.
    """
    other = deepcopy(model)
    for module in other.modules():
        if isinstance(module, WaveletEncoder | Synthesis):
            module.wavelet = WaveletOfPtwt("haar")
    with torch.no_grad():
        bounds = [each.elbo(x, noise).nats.mean().item() for each in (model, other)]
    if abs(bounds[0] / bounds[1] - 1) > 1e-4:
        raise ValueError(f"the bounds are {bounds[0]:.3f} and, with ptwt, {bounds[1]:.3f} nats")
    return other


def updater(model: HVAE, training: Training, images: Images, device: torch.device) -> Updater:
    """Return the state of a training that never leaves out an update."""
    always = replace(training, skip=SkipRule(factor=1e30))
    stream = Stream(images, training.batch, seed=0, binary=False)
    accelerator = Accelerator(mixed_precision="no", cpu=device.type == "cpu")
    return Updater(model, always, stream, accelerator)


def transform_alone(wavelet: Wavelet, depth: int, x: Tensor) -> Step:
    """Return the transforms of one step of training, for images x.

    The encoder analyses the image into all levels, and once by one level for its network. No
    gradient is asked of either. The decoder's syntheses have one by both of their arguments.
    """
    coarse, details = wavelet.analysis(x, depth)
    parts = [part.clone().requires_grad_() for part in (coarse, *details)]
    cotangent = torch.ones_like(x)

    def transform(_: int) -> object:
        wavelet.analysis(x, depth)
        wavelet.step.analysis(x)
        image, *rest = parts
        for part in rest:
            image = wavelet.step.synthesis(image, part)
        return torch.autograd.grad(image, parts, cotangent)

    return transform


# ------------------------------------------------------------------------------------- comparison


def compare(size: int, options: Options) -> Result:
    """Time all sides for images of one size."""
    torch.manual_seed(0)
    device = torch.device(options.device)
    known = recipe(f"kiruluta2025-cifar10-{size}-wavelet-elbo")
    training = replace(known.training, batch=options.batch)
    generator = torch.Generator().manual_seed(0)
    shape = (_IMAGES, 3, size, size)
    images = Images(
        torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8), "synthetic", "train"
    )
    model = build(known)
    model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    x = images.take(torch.arange(options.batch)).to(device)
    floats = (x.float() / 255).contiguous(memory_format=torch.channels_last)
    depth = len(model.latent_shapes) - 1
    sides: dict[str, Step] = {_TRANSFORM: transform_alone(Wavelet("haar"), depth, floats)}
    if find_spec("ptwt") is None:
        sys.stderr.write("ptwt is left out: it is not installed\n")
    else:
        other = with_ptwt(model, x, model.noise(options.batch, generator))
        sides[_PTWT] = updater(other, training, images, device).update
    sides[_OURS] = updater(model, training, images, device).update
    times = take_turns(list(sides.values()), options.rounds, options.warmup, device)
    parameters = sum(p.numel() for p in model.parameters())
    return Result(size, options.batch, parameters, dict(zip(sides, times, strict=True)))


# ---------------------------------------------------------------------------------------- reports

HEADINGS = (
    "size",
    "batch",
    "parameters",
    "ms/step",
    "img/s",
    "share of the transform by CPU time (min–max)",
    "times faster than with ptwt by CPU time (min–max)",
    "by the wall (min–max)",
)


def rows(results: list[Result]) -> Iterator[tuple[str, ...]]:
    """Yield one line of the table for each size."""
    for result in results:
        ours, alone = result.times[_OURS], result.times[_TRANSFORM]
        theirs = result.times.get(_PTWT)
        seconds = statistics.median(ours.wall)
        cells = [
            _ratio(theirs.cpu, ours.cpu) if theirs else "–",
            _ratio(theirs.wall, ours.wall) if theirs else "–",
        ]
        yield (
            f"{result.size} × {result.size}",
            str(result.batch),
            f"{result.parameters:,}",
            f"{1e3 * seconds:.0f}",
            f"{result.batch / seconds:.1f}",
            "{:.1%} ({:.1%}–{:.1%})".format(*ratios(alone.cpu, ours.cpu)),
            *cells,
        )


def _ratio(first: list[float], second: list[float]) -> str:
    return "{:.2f} ({:.2f}–{:.2f})".format(*ratios(first, second))


def read(path: Path) -> list[Result]:
    """Read the results of an earlier run."""
    return [
        Result(**(each | {"times": {side: Timing(**t) for side, t in each["times"].items()}}))
        for each in json.loads(path.read_text())["results"]
    ]


REPORT = Report("A training step of a wavelet VAE", HEADINGS, rows, read, width=160)


def main(options: Options) -> None:
    """Time what is asked for, and print and write it."""
    counts = {"rounds": options.rounds, "warmup": options.warmup}
    cases = ((f"{size} × {size}", partial(compare, size, options)) for size in options.sizes)
    REPORT.make(options, counts, cases)


if __name__ == "__main__":
    main(tyro.cli(Options))
