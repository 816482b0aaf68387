"""``mrvae restore``."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from mrvae.cli.checks import check_folder, check_positive, check_seed
from mrvae.cli.coding_bar import CodingBar
from mrvae.cli.command import Answer
from mrvae.cli.declaration import Argument, Option
from mrvae.cli.options import Best, Device, Json, Quiet, RunPath, Seed
from mrvae.cli.tables import table

if TYPE_CHECKING:
    from mrvae.cli.restore_input import Damaged
    from mrvae.cli.runs import Run
    from mrvae.restoration import Progress, Restored

_OPTIONS = {
    "inpaint": ("mask",),
    "upscale": ("factor", "sigma", "wavelet", "context"),
    "denoise": ("sigma",),
    "deblur": ("kernel", "sigma"),
}
_NEEDED = {"inpaint": "mask", "upscale": "factor", "denoise": "sigma", "deblur": "kernel"}
_ALL = ("mask", "factor", "sigma", "kernel", "wavelet", "context")
_BLUR_NOISE = 0.01
_LEAST_STEPS = 2
_TINY = 1e-9


@dataclass(frozen=True)
class Restore:
    """Restore damaged images with a trained model as their prior: draws, mean and spread.

    inpaint fills in what --mask hides, denoise removes noise of --sigma, upscale enlarges --factor
    times, deblur undoes --kernel. Pixels are on [0, 1] where numbers are given. inpaint and denoise
    are exact in the limit of many --steps; upscale and deblur are plug and play.
    """

    run_path: RunPath
    images: Annotated[
        Path,
        Argument(
            "damaged image, folder of images, or .npy file of pixels or real numbers on [0, 1]",
            metavar="PATH",
        ),
    ]
    task: Annotated[
        Literal["inpaint", "upscale", "denoise", "deblur"],
        Argument("what the damage is: inpaint, upscale, denoise or deblur", metavar="TASK"),
    ]
    mask: Annotated[
        Path | None, Option("inpaint: image or .npy file, zero where a pixel is missing")
    ] = None
    factor: Annotated[int | None, Option("upscale: how many times larger, 2, 4, 8, …")] = None
    sigma: Annotated[
        float | None,
        Option("standard deviation of the noise; 0 for upscale and 0.01 for deblur if not given"),
    ] = None
    kernel: Annotated[
        str | None,
        Option("deblur: .npy file of the kernel, or gaussian:S of S pixels", metavar="KERNEL"),
    ] = None
    wavelet: Annotated[
        str | None, Option("upscale: an orthogonal wavelet whose averages are given, else Haar")
    ] = None
    context: Annotated[
        bool, Option("upscale: draw from the model given its context, that of the small image")
    ] = False
    simulate: Annotated[
        bool, Option("PATH holds whole images: damage them first, and compare with them")
    ] = False
    truth: Annotated[Path | None, Option("whole images of the same number, to compare with")] = None
    n: Annotated[int, Option("number of draws of each image")] = 4
    steps: Annotated[int | None, Option("steps: 200 where exact, 60 of plug and play")] = None
    seed: Seed = 0
    out: Annotated[Path, Option("folder to write to")] = Path("restored")
    best: Best = False
    device: Device = None
    quiet: Quiet = False
    json: Json = False

    def run(self) -> Answer:
        """Restore one image after the other, and write pictures and a table."""
        self._check()
        from mrvae.cli.restore_output import Comparison, write_restored
        from mrvae.cli.runs import open_run

        run = open_run(self.run_path, self.best, device=self.device)
        damaged = self._damaged(run)
        comparison, count = Comparison(damaged), len(damaged.names)
        steps = self._steps if not self.context else 1
        with CodingBar("restore", count * steps, self.quiet, unit="steps") as bar:
            for index in range(count):
                made = self._restored(run, damaged, index, _after(bar, index * steps))
                write_restored(self.out, damaged, index, made)
                comparison.add(index, made)
        comparison.finish()
        values = {
            "run": str(self.run_path),
            "task": self.task,
            "images": count,
            "n": self.n,
            "out": str(self.out),
            **comparison.summary(),
        }
        images = "1 image" if count == 1 else f"{count} images"
        text = f"wrote {self.n} draws, the mean and a figure of {images} to {self.out}"
        rows = comparison.rows()
        return Answer(values, f"{text}\n\n{table(rows)}" if rows else text)

    def _check(self) -> None:
        """Refuse options that do not belong together, before anything is read."""
        check_positive(n=self.n, steps=self.steps, factor=self.factor)
        check_seed(self.seed)
        check_folder(self.out)
        unset = (None, False)
        given = {name for name in _ALL if not any(vars(self)[name] is value for value in unset)}
        if needless := sorted(given - set(_OPTIONS[self.task])):
            raise ValueError(f"--{needless[0]} is not an option of {self.task}")
        if (needed := _NEEDED[self.task]) not in given:
            raise ValueError(f"{self.task} needs --{needed}")
        least = 0.0 if self.task == "upscale" else _TINY
        if self.sigma is not None and not least <= self.sigma < math.inf:
            kind = "at least 0" if self.task == "upscale" else "above 0"
            raise ValueError(
                f"--sigma is {self.sigma}; give a number {kind}, pixels being on [0, 1]"
            )
        if self.simulate and self.truth is not None:
            raise ValueError("give one of --simulate, where PATH is the truth, and --truth")
        if self.steps is not None and self.steps < _LEAST_STEPS:
            raise ValueError(f"--steps is {self.steps}; give at least {_LEAST_STEPS}")
        if not self.images.exists():
            raise ValueError(f"there is no {self.images}; give an image, a folder or a .npy file")

    @property
    def _steps(self) -> int:
        return self.steps or (200 if self.task in ("inpaint", "denoise") else 60)

    @property
    def _noise(self) -> float:
        """Return the standard deviation of the noise."""
        return self.sigma or (_BLUR_NOISE if self.task == "deblur" else 0.0)

    def _damaged(self, run: Run) -> Damaged:
        """Read, or make, the damaged images."""
        from mrvae.cli.restore_input import (
            degradation_of,
            observations,
            read_images,
            simulated,
        )
        from mrvae.restoration import context_transform, image_shape, ladder_steps

        frame = run.model.frame
        steps = None if self.factor is None else ladder_steps(run.model, self.factor)
        if self.context:
            right = image_shape(frame)[2] // context_transform(run.model).shape[2]
            if self.factor != right:
                raise ValueError(f"--factor is {self.factor}; this model's context needs {right}")
        made = degradation_of(frame, self.mask, steps, self.wavelet, self.kernel)
        if self.simulate:
            return simulated(self.images, frame, made, self._noise, self.seed)
        damaged = observations(self.images, frame, made, self._noise)
        if self.truth is None:
            return damaged
        names, truth = read_images(self.truth, image_shape(frame), frame.bins)
        if len(names) != len(damaged.names):
            raise ValueError(
                f"--truth {self.truth} holds {len(names)} images, and {self.images} "
                f"{len(damaged.names)}; give one for each"
            )
        return replace(damaged, truth=truth)

    def _restored(self, run: Run, damaged: Damaged, index: int, progress: Progress) -> Restored:
        """Restore one image; its random numbers are a function of the seed and its index."""
        import torch

        from mrvae.restoration import (
            Blur,
            MarkovChain,
            Mask,
            PlugAndPlay,
            deblur,
            denoise,
            enlarge,
            inpaint,
            upscale,
        )

        y = damaged.y[index : index + 1].to(run.device, torch.float32)
        seed = (self.seed + (index << 40)) % (1 << 63)
        model, n, sigma, steps = run.model, self.n, damaged.sigma, self._steps
        chain, play = MarkovChain(steps, steps // 2, steps // 6), PlugAndPlay(steps, steps // 3)
        match damaged.degradation:
            case Mask(known):
                x = (y * (run.levels - 1)).round().clamp(0, run.levels - 1).to(torch.uint8)
                made = inpaint(model, x, known, n, chain, seed, progress)
            case Blur(kernel):
                made = deblur(model, y, kernel, sigma, n, play, seed, progress)
            case _ if self.task == "denoise":
                made = denoise(model, y, sigma, n, chain, seed, progress)
            case _ if self.context:
                made = enlarge(model, y, n, seed=seed)
            case _:
                wavelet = self.wavelet or "haar"
                factor = self.factor or 1
                made = upscale(model, y, factor, sigma, wavelet, n, play, seed, progress)
        return made.to("cpu")


def _after(bar: CodingBar, done: int) -> Progress:
    """Return a progress whose steps come after those that are done."""
    return lambda steps: bar(done + steps)
