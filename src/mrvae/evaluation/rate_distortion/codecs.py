"""Standard image codecs for comparison, measured by the bytes of real files.

Each writes one whole picture through Pillow into memory; its rate is the length of that file,
headers and all. JPEG has three settings, because they decide a comparison at low rates:

    JPEG            Pillow's own defaults: chrominance halved along both axes, standard Huffman code
    JPEG 4:4:4      full chrominance and standard Huffman code, as Kuzina & Tomczak (2023) had it
    JPEG optimised  chrominance halved, Huffman code fitted to the picture, and progressive where
                    this is smaller: what the format can do, and the fair one

A codec has a scale of qualities, lowest first, along which the picture gets better, at least on the
whole. To compare at a PSNR the scale is halved until two neighbouring qualities stand on either
side of the target: the invariant of the search, which holds even where PSNR is not monotone
in between.
"""

from __future__ import annotations

import importlib
import io
import time
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal, Protocol

import numpy as np
import torch
from PIL import Image, features
from torch import Tensor

from mrvae.evaluation.quality.distortion import psnr


class ImageCodec(Protocol):
    """A way of writing a picture."""

    @property
    def name(self) -> str:
        """What it is called in a table."""
        ...

    @property
    def qualities(self) -> range:
        """Its settings, the coarsest first."""
        ...

    def write(self, picture: Image.Image, quality: int) -> bytes:
        """Return the whole file."""
        ...


@dataclass(frozen=True)
class JPEG:
    r"""JPEG; ``optimised`` fits the Huffman code, and is progressive where that is smaller.

    Example:
        >>> grey = Image.new("RGB", (16, 16), (128, 128, 128))
        >>> JPEG("JPEG", "4:2:0").write(grey, 50)[:2]
        b'\xff\xd8'
    """

    name: str
    subsampling: Literal["4:4:4", "4:2:0"]
    optimised: bool = False
    qualities: range = range(1, 96)

    def write(self, picture: Image.Image, quality: int) -> bytes:
        """Return the file; of two candidates, the smaller."""
        candidates = (False, True) if self.optimised else (False,)
        return min((self._written(picture, quality, each) for each in candidates), key=len)

    def _written(self, picture: Image.Image, quality: int, progressive: bool) -> bytes:
        buffer = io.BytesIO()
        picture.save(
            buffer,
            "JPEG",
            quality=quality,
            subsampling=self.subsampling,
            optimize=self.optimised,
            progressive=progressive,
        )
        return buffer.getvalue()


@dataclass(frozen=True)
class Lossy:
    """WebP or AVIF, with their own defaults."""

    name: Literal["WebP", "AVIF"]
    qualities: range = range(101)

    def write(self, picture: Image.Image, quality: int) -> bytes:
        """Return the file."""
        buffer = io.BytesIO()
        picture.save(buffer, self.name, quality=quality)
        return buffer.getvalue()


@dataclass(frozen=True)
class PNG:
    """PNG, which loses nothing and so has one quality."""

    name: str = "PNG"
    qualities: range = range(1)

    def write(self, picture: Image.Image, quality: int) -> bytes:
        """Return the file."""
        buffer = io.BytesIO()
        picture.save(buffer, "PNG", optimize=True)
        return buffer.getvalue()


@dataclass(frozen=True)
class WebPLossless:
    """WebP that loses nothing, at 80 of its 100 degrees of effort, beyond which it takes seconds.

    Example:
        >>> len(WebPLossless().write(Image.new("RGB", (16, 16)), 0)) < 64
        True
    """

    name: str = "WebP lossless"
    qualities: range = range(1)

    def write(self, picture: Image.Image, quality: int) -> bytes:
        """Return the file."""
        buffer = io.BytesIO()
        picture.save(buffer, "WEBP", lossless=True, quality=80, method=4)
        return buffer.getvalue()


@dataclass(frozen=True)
class JPEGXLLossless:
    """JPEG-XL that loses nothing, where the package ``pillow-jxl-plugin`` is installed."""

    name: str = "JPEG-XL lossless"
    qualities: range = range(1)

    def write(self, picture: Image.Image, quality: int) -> bytes:
        """Return the file."""
        importlib.import_module(_JXL)
        buffer = io.BytesIO()
        picture.save(buffer, "JXL", lossless=True)
        return buffer.getvalue()


_JXL = "pillow_jxl"

LOSSY: tuple[ImageCodec, ...] = (
    JPEG("JPEG", "4:2:0"),
    JPEG("JPEG 4:4:4", "4:4:4"),
    JPEG("JPEG optimised", "4:2:0", optimised=True),
    Lossy("WebP"),
    Lossy("AVIF"),
)
"""The codecs of a rate-distortion comparison."""

LOSSLESS: tuple[ImageCodec, ...] = (PNG(), WebPLossless(), JPEGXLLossless())
"""The lossless codecs."""


def available(codec: ImageCodec) -> bool:
    """Tell whether this build of Pillow, with its plugins, can write the codec's files.

    Example:
        >>> available(PNG())
        True
    """
    if isinstance(codec, JPEGXLLossless):
        return find_spec(_JXL) is not None
    optional = {"WebP": "webp", "WebP lossless": "webp", "AVIF": "avif"}
    return codec.name not in optional or bool(features.check(optional[codec.name]))


@dataclass(frozen=True)
class File:
    """A picture in a codec's file.

    Attributes:
        quality: with which it was written.
        size: of the file in bytes.
        picture: what is read back, uint8 (3, H, W).
        psnr: of this picture, in dB.
        encoding: CPU seconds of writing, those of all threads together.
        decoding: CPU seconds of reading.
    """

    quality: int
    size: int
    picture: Tensor
    psnr: float
    encoding: float
    decoding: float

    @property
    def bpp(self) -> float:
        """Rate in bits per pixel."""
        return 8 * self.size / self.picture[0].numel()


def written(codec: ImageCodec, picture: Tensor, quality: int) -> File:
    """Write a picture, uint8 (3, H, W), and read it back.

    Raises:
        ValueError: if the quality is not on the codec's scale.

    Example:
        >>> file = written(PNG(), torch.zeros(3, 4, 4, dtype=torch.uint8), 0)
        >>> file.psnr, int(file.picture.sum())
        (inf, 0)
    """
    if quality not in codec.qualities:
        first, last = codec.qualities[0], codec.qualities[-1]
        raise ValueError(f"quality is {quality}; {codec.name} has {first} … {last}")
    image = Image.fromarray(picture.permute(1, 2, 0).contiguous().numpy())
    began = time.process_time()
    data = codec.write(image, quality)
    middle = time.process_time()
    with Image.open(io.BytesIO(data)) as back:
        pixels = np.array(back.convert("RGB"))
    ended = time.process_time()
    decoded = torch.from_numpy(pixels).permute(2, 0, 1).contiguous()
    seconds = (middle - began, ended - middle)
    return File(quality, len(data), decoded, psnr(picture, decoded), *seconds)


def around(codec: ImageCodec, picture: Tensor, target: float) -> tuple[File, File]:
    """Return two files of neighbouring qualities, the first below ``target`` dB, the other not.

    If already the lowest quality reaches the target, or not even the highest does, it is returned
    twice: the codec has nothing nearer.

    Example:
        >>> picture = torch.randint(0, 256, (3, 32, 32), generator=torch.manual_seed(0)).byte()
        >>> below, above = around(JPEG("JPEG", "4:4:4"), picture, 20.0)
        >>> below.psnr < 20 <= above.psnr, above.quality - below.quality
        (True, 1)
    """
    scale = codec.qualities
    low = written(codec, picture, scale[0])
    if low.psnr >= target:
        return low, low
    high = written(codec, picture, scale[-1])
    if high.psnr < target:
        return high, high
    while high.quality - low.quality > scale.step:
        place = (scale.index(low.quality) + scale.index(high.quality)) // 2
        middle = written(codec, picture, scale[place])
        low, high = (low, middle) if middle.psnr >= target else (middle, high)
    return low, high


def comparable(codec: ImageCodec, picture: Tensor, target: float) -> File:
    """Return the file whose PSNR is nearest to ``target`` dB, of the two around it."""
    return min(around(codec, picture, target), key=lambda file: abs(file.psnr - target))
