"""What ``mrvae restore`` reads: damaged images, a mask, a kernel; each refused in one line.

Values are on [0, 1]: a picture's are divided by the largest that its file can hold, integers of a
.npy file by the largest of the model, and real numbers are as they are, for noise leaves [0, 1].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mrvae.data.files.gallery import picture_paths
from mrvae.data.files.image_files import SUFFIXES, declared, read
from mrvae.files import check_regular
from mrvae.models import ImageFrame
from mrvae.restoration import Averages, Blur, Degradation, Mask, Noise, gaussian_kernel, image_shape

_MOST_BYTES = 1 << 28
Shape = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class Damaged:
    """Observations and what they are observations of.

    Attributes:
        names: of the images, without suffix.
        y: observations on [0, 1], (N, C, h, w), float64.
        degradation: what was done to the images.
        sigma: standard deviation of the noise.
        truth: the whole images on [0, 1], (N, C, H, W); None if they are not known.
    """

    names: tuple[str, ...]
    y: Tensor
    degradation: Degradation
    sigma: float
    truth: Tensor | None


def observations(path: Path, frame: ImageFrame, degradation: Degradation, sigma: float) -> Damaged:
    """Read damaged images.

    Raises:
        ValueError: if a file cannot be read, or an image is not of the damaged size.
    """
    whole = torch.zeros(1, *image_shape(frame), dtype=torch.float64)
    shape = degradation.apply(whole).shape
    names, y = read_images(path, (shape[1], shape[2], shape[3]), frame.bins)
    return Damaged(names, y, degradation, sigma, None)


def simulated(
    path: Path, frame: ImageFrame, degradation: Degradation, sigma: float, seed: int
) -> Damaged:
    """Read whole images, and damage them."""
    names, x = read_images(path, image_shape(frame), frame.bins)
    random = torch.Generator().manual_seed(seed)
    noise = torch.zeros(()) if isinstance(degradation, Mask) else sigma
    y = degradation.apply(x)
    y = y + noise * torch.randn(y.shape, generator=random, dtype=y.dtype)
    return Damaged(names, y, degradation, sigma, x)


def degradation_of(
    frame: ImageFrame,
    mask: Path | None,
    steps: int | None,
    wavelet: str | None,
    kernel: str | None,
) -> Degradation:
    """Return what the options say that was done to the images; noise only if they say nothing."""
    if mask is not None:
        return Mask(read_mask(mask, frame))
    if steps is not None:
        return Averages(steps, wavelet or "haar")
    if kernel is not None:
        return Blur(read_kernel(kernel, frame))
    return Noise()


def read_images(path: Path, shape: Shape, bins: int) -> tuple[tuple[str, ...], Tensor]:
    """Return names, and images (N, C, H, W) on [0, 1] in float64.

    Raises:
        ValueError: if a file cannot be read, or an image has another shape (C, H, W).
    """
    if path.suffix.lower() == ".npy":
        return _array(path, shape, bins)
    paths = picture_paths(str(path)) if path.is_dir() else (path,)
    for each in paths:
        if each.suffix.lower() not in SUFFIXES:
            raise ValueError(f"{each} is not read; give a picture, a folder of them or a .npy file")
        _check_shape(str(each), declared(each).shape, shape)
    pictures = [read(each, None).double() / declared(each).largest for each in paths]
    return tuple(each.stem for each in paths), torch.stack(pictures)


def read_mask(path: Path, frame: ImageFrame) -> Tensor:
    """Return which pixels are known, bool (H, W): those where a mask is not zero.

    Raises:
        ValueError: if it cannot be read, has another size than the model's images, or hides none.
    """
    _, *sides = image_shape(frame)
    values = _load(path) if path.suffix.lower() == ".npy" else read(path, None)
    values = values.any(dim=0) if values.dim() == 3 else values
    if list(values.shape) != sides:
        raise ValueError(
            f"--mask {path} has {_times(values.shape)} pixels; the model's images have"
            f" {_times(sides)}"
        )
    known = values != 0
    if bool(known.all()):
        raise ValueError(f"--mask {path} hides no pixel; zero marks one that is missing")
    return known


def read_kernel(text: str, frame: ImageFrame) -> Tensor:
    """Return the kernel of a .npy file, or a Gaussian of so many pixels: ``gaussian:1.5``.

    Raises:
        ValueError: if it is neither, or larger than the model's images.
    """
    name, colon, number = text.partition(":")
    if name == "gaussian" and colon:
        kernel = gaussian_kernel(_number(text, number))
    elif Path(text).suffix.lower() == ".npy":
        kernel = _load(Path(text)).double()
    else:
        raise ValueError(f"--kernel is {text}; give a .npy file, or gaussian:S of S pixels")
    blur = Blur(kernel)
    blur.apply(torch.zeros(1, *image_shape(frame), dtype=torch.float64))
    return kernel


def _number(text: str, number: str) -> float:
    try:
        return float(number)
    except ValueError:
        raise ValueError(f"--kernel is {text}; expected gaussian:S, S a number of pixels") from None


def _array(path: Path, shape: Shape, bins: int) -> tuple[tuple[str, ...], Tensor]:
    """Read a .npy file of images (N, H, W) or (N, C, H, W), or of one image (H, W)."""
    values = _load(path)
    if values.dim() in (2, 3):
        values = values.view(-1, 1, *values.shape[-2:])
    if values.dim() != 4 or not len(values):
        raise ValueError(
            f"{path}: shape is {tuple(values.shape)}; expected images (N, H, W) or (N, C, H, W)"
        )
    _check_shape(str(path), tuple(values.shape[1:]), shape)
    if values.dtype == torch.uint8:
        largest = int(values.max())
        if largest >= bins:
            raise ValueError(
                f"{path}: holds {largest}, and the model's pixels are 0…{bins - 1}; give integers"
                " in this range, or real numbers on [0, 1]"
            )
        values = values.double() / (bins - 1)
    elif not values.is_floating_point():
        raise ValueError(f"{path}: holds {values.dtype}; give uint8 pixels, or real numbers")
    if not bool(values.isfinite().all()):
        raise ValueError(f"{path}: holds values that are not finite; repair or remove them")
    count = len(values)
    digits = len(str(count - 1))
    names = tuple(f"{path.stem}-{index:0{digits}}" for index in range(count))
    return names, values.double()


def _load(path: Path) -> Tensor:
    """Read a .npy file, without running anything in it."""
    check_regular(path, _MOST_BYTES)
    try:
        array = np.load(path, allow_pickle=False)
        return torch.from_numpy(np.ascontiguousarray(array.astype(array.dtype.newbyteorder("="))))
    except (ValueError, TypeError, EOFError, AttributeError) as error:
        raise ValueError(f"{path}: is no .npy file of numbers: {_brief(error)}") from None


def _brief(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:100]


def _check_shape(name: str, found: Sequence[int], expected: Shape) -> None:
    """Refuse an image of another number of channels or another size."""
    if tuple(found) == expected:
        return
    raise ValueError(
        f"{name}: is {_colours(found[0])} of {_times(found[1:])} pixels; expected"
        f" {_colours(expected[0])} of {_times(expected[1:])}"
    )


def _colours(channels: int) -> str:
    return {1: "grey", 3: "RGB"}.get(channels, f"{channels}-channel")


def _times(sides: Sequence[int]) -> str:
    return "×".join(map(str, sides))
