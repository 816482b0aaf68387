"""What ``mrvae restore`` writes: pictures of each image, and a table of errors."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from mrvae.cli.notes import note
from mrvae.cli.restore_input import Damaged
from mrvae.evaluation.statistics import standard_error
from mrvae.files import atomic
from mrvae.reports.figures import pictures_figure, write_figure
from mrvae.reports.image_grid import Pixels
from mrvae.restoration import (
    Averages,
    Blur,
    Mask,
    Restored,
    bicubic,
    biharmonic,
    total_variation,
    wiener,
)

_SHOWN = 4
_WEIGHTS = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6)
_BALANCES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
_LEAST_ERROR = 1e-6


def write_restored(out: Path, damaged: Damaged, index: int, made: Restored) -> None:
    """Write the draws and the mean of one image, and all that is known of it as one figure."""
    out.mkdir(parents=True, exist_ok=True)
    name = damaged.names[index]
    draws, mean = made.draws[:, 0].clamp(0, 1), made.mean[0].clamp(0, 1)
    for number, draw in enumerate(draws, start=1):
        _write(out / f"{name}-draw{number}.png", draw)
    _write(out / f"{name}-mean.png", mean)
    panels = {"observed": _pixels(_observed(damaged, index))}
    panels |= {f"draw {number}": _pixels(draw) for number, draw in enumerate(draws[:_SHOWN], 1)}
    # The deviation of numbers on [0, 1] is at most a half.
    panels |= {"mean": _pixels(mean), "2 × deviation": _pixels(2 * made.deviation[0])}
    if damaged.truth is not None:
        panels["truth"] = _pixels(damaged.truth[index])
    write_figure(out / f"{name}.png", pictures_figure(panels))


class Comparison:
    """PSNR of restorations and of what needs no model, where the whole images are known."""

    def __init__(self, damaged: Damaged) -> None:
        self.damaged = damaged
        self.values: dict[str, list[float]] = {}

    def add(self, index: int, made: Restored) -> None:
        """Compare the restoration of one image."""
        if self.damaged.truth is None:
            return
        truth = self.damaged.truth[index : index + 1]
        for name, restored in (("mean", made.mean), ("draw", made.draws[0])):
            self.values.setdefault(name, []).append(psnr(restored, truth))

    def finish(self) -> None:
        """Add the baselines, or note what is missing."""
        if self.damaged.truth is None:
            return
        try:
            for name, restored in baselines(self.damaged):
                pairs = zip(restored, self.damaged.truth, strict=True)
                values = [psnr(a, b) for a, b in pairs]
                best = self.values.get(name)
                if best is None or math.fsum(values) > math.fsum(best):
                    self.values[name] = values
        except ModuleNotFoundError:
            note("baselines need scikit-image: pip install 'mrvae[restore]'")

    def summary(self) -> dict[str, object]:
        """Return the mean PSNR in dB and its standard error, by name."""
        if not self.values:
            return {}
        means = {name: math.fsum(v) / len(v) for name, v in self.values.items()}
        errors = {name: standard_error(torch.tensor(v)) for name, v in self.values.items()}
        return {"psnr": means, "psnr_se": errors}

    def rows(self) -> list[list[object]]:
        """Return the lines of a table; none without whole images."""
        rows: list[list[object]] = [["restored by", "PSNR in dB", "±"]]
        for name, values in self.values.items():
            error = standard_error(torch.tensor(values))
            mean = math.fsum(values) / len(values)
            rows.append([name, f"{mean:.2f}", "" if error is None else f"{error:.2f}"])
        return rows if self.values else []


def baselines(damaged: Damaged) -> Iterator[tuple[str, Tensor]]:
    """Yield restorations without a model; several of a name where it has a free number.

    Raises:
        ModuleNotFoundError: if scikit-image is needed and not installed.
    """
    y = damaged.y
    match damaged.degradation:
        case Mask(known):
            yield "biharmonic", biharmonic(y, known)
        case Averages(steps):
            yield "bicubic", bicubic(y, 2**steps)
        case Blur() as blur:
            for balance in _BALANCES:
                yield "Wiener, best balance", wiener(y, blur, balance)
        case _:
            for weight in _WEIGHTS:
                yield "total variation, best weight", total_variation(y, weight)


def psnr(restored: Tensor, truth: Tensor) -> float:
    """Return the PSNR in dB of one image on [0, 1]; at most 60 dB, where eight bits end.

    Example:
        >>> psnr(torch.zeros(1, 1, 2, 2), torch.full((1, 1, 2, 2), 0.1))
        20.0
    """
    error = float((restored.double().clamp(0, 1) - truth.double()).square().mean())
    return round(-10 * math.log10(max(error, _LEAST_ERROR)), 6)


def _observed(damaged: Damaged, index: int) -> Tensor:
    """Return an observation as a picture: its missing pixels grey, its few pixels large."""
    y = damaged.y[index]
    match damaged.degradation:
        case Mask(known):
            return torch.where(known, y, 0.5)
        case Averages(steps):
            return y.repeat_interleave(2**steps, -1).repeat_interleave(2**steps, -2)
        case _:
            return y


def _pixels(image: Tensor) -> Pixels:
    """Return an image (C, H, W) on [0, 1] as a picture (H, W, 3)."""
    bytes_ = (255 * image.double().clamp(0, 1)).round().to(torch.uint8)
    rgb: Pixels = bytes_.expand(3, -1, -1).permute(1, 2, 0).contiguous().cpu().numpy()
    return rgb


def _write(path: Path, image: Tensor) -> None:
    """Write an image (C, H, W) on [0, 1] as PNG of its own size, grey or RGB."""
    from PIL import Image

    pixels = _pixels(image)
    with atomic(path) as temporary:
        Image.fromarray(pixels if len(image) == 3 else pixels[..., 0]).save(temporary, format="PNG")
