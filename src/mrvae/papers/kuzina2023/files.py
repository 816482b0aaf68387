"""Pictures as files, by a trained model and by the codecs: what a byte count is measured on.

A file is written, its length asked of the disk, and the picture read back from it; what is scored
is what was read. Rates are 8 · bytes / pixels with all headers. Speeds are in megabytes of pixels,
three bytes a pixel, for each CPU second of the process, so that a busy machine does not matter.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from mrvae.compression import (
    CodingModel,
    Pictures,
    decode_pictures,
    pack,
    pack_layers,
    read_container,
)
from mrvae.data import Picture
from mrvae.data.files.image_files import from_tensor
from mrvae.evaluation import ImageCodec, comparable, ms_ssim, psnr, written
from mrvae.papers.outcome import Row, mean, standard_error


@dataclass(frozen=True)
class Coded:
    """A picture, or several in one file, written and read back.

    Attributes:
        size: bytes of the file.
        values: bytes of the pixels, three a pixel.
        psnr: in dB, None if nothing is lost.
        ms_ssim: None if a side is too short for it.
        encoding: CPU seconds of writing.
        decoding: CPU seconds of reading.
    """

    size: int
    values: int
    psnr: float | None
    ms_ssim: float | None
    encoding: float
    decoding: float

    @property
    def bpp(self) -> float:
        """Bits per pixel.

        Example:
            >>> Coded(3, 24, 30.0, None, 1.0, 1.0).bpp
            3.0
        """
        return 8 * self.size / (self.values / 3)

    @classmethod
    def of(cls, size: int, pairs: Sequence[tuple[Tensor, Tensor]], *seconds: float) -> Coded:
        """Return the measures of pictures beside what was read: those of the worst one."""
        worst = min(psnr(x, y) for x, y in pairs)
        lossless = math.isinf(worst)
        similar = None if lossless or len(pairs) > 1 else ms_ssim(*pairs[0])
        values = sum(x.numel() for x, _ in pairs)
        return cls(size, values, None if lossless else worst, similar, *seconds)


def stored(pictures: Sequence[Picture], folder: Path) -> tuple[Path, ...]:
    """Write pictures as PNG for a codec that reads files, and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = tuple(folder / f"{each.name}.png" for each in pictures)
    for path, each in zip(paths, pictures, strict=True):
        from_tensor(each.pixels).save(path)
    return paths


def by_context(known: CodingModel, picture: Picture, path: Path, out: Path) -> Coded:
    """Return a picture from the file of its contexts only."""
    began = time.process_time()
    pack_layers(known, Pictures((path,), known.network), out, keep=1, verify=False)
    encoding = time.process_time() - began
    return _read_back(known, [picture], out, encoding)


def without_loss(
    known: CodingModel,
    pictures: Sequence[Picture],
    paths: Sequence[Path],
    out: Path,
    calibration: Tensor | None,
) -> Coded:
    """Return pictures from one lossless file; units are chosen by the images ``calibration``.

    Raises:
        ValueError: if a picture does not come back as it was.
    """
    began = time.process_time()
    pack(known, Pictures(tuple(paths), known.network), out, calibration=calibration, verify=False)
    encoding = time.process_time() - began
    coded = _read_back(known, pictures, out, encoding)
    if coded.psnr is not None:
        raise ValueError(f"{out} does not give its pictures back as they were")
    return coded


def _read_back(
    known: CodingModel, pictures: Sequence[Picture], out: Path, encoding: float
) -> Coded:
    """Read a file, and score what is read."""
    began = time.process_time()
    found = [pixels for _, pixels in decode_pictures(read_container(out), known)]
    decoding = time.process_time() - began
    pairs = [(each.pixels, y) for each, y in zip(pictures, found, strict=True)]
    return Coded.of(out.stat().st_size, pairs, encoding, decoding)


def by_codec(codec: ImageCodec, picture: Picture, target: float | None = None) -> Coded:
    """Return a picture from a codec's file: nearest to a PSNR in dB, or of its first quality."""
    x, lowest = picture.pixels, codec.qualities[0]
    file = written(codec, x, lowest) if target is None else comparable(codec, x, target)
    return Coded.of(file.size, [(x, file.picture)], file.encoding, file.decoding)


def row(pictures: str, method: str, coded: Sequence[Coded], training: float | None = None) -> Row:
    """Return the row of a method over files; its rate is their mean, and its speed that of all.

    Args:
        pictures: what was coded.
        method: how.
        coded: the files.
        training: seconds that the method's models took, None if it has none.

    Example:
        >>> two = [Coded(3, 24, 30.0, None, 1e-6, 1e-6), Coded(5, 24, 32.0, None, 1e-6, 2e-6)]
        >>> found = row("kodak", "JPEG", two)
        >>> found["bpp"], found["psnr"], found["bpp_se"], round(found["decode_mb_s"])
        (4.0, 31.0, 1.0, 16)
    """
    bpp = [each.bpp for each in coded]
    psnr = [each.psnr for each in coded if each.psnr is not None]
    similar = [each.ms_ssim for each in coded if each.ms_ssim is not None]
    values = sum(each.values for each in coded) / 1e6
    return {
        "pictures": pictures,
        "method": method,
        "lossless": not psnr,
        "files": len(coded),
        "bytes": sum(each.size for each in coded),
        "bpp": mean(bpp),
        "bpp_se": standard_error(bpp),
        "psnr": mean(psnr),
        "psnr_se": standard_error(psnr),
        "ms_ssim": mean(similar),
        "encode_mb_s": values / sum(each.encoding for each in coded),
        "decode_mb_s": values / sum(each.decoding for each in coded),
        "training_seconds": training,
    }
