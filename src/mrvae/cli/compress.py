"""``mrvae compress``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from mrvae.cli.answer import Answer
from mrvae.cli.options import DataDir, File, Flag, Json, RunPath
from mrvae.files import writable

if TYPE_CHECKING:
    from mrvae.compression import Packed

ImagePaths = Annotated[
    Positional[tuple[Path, ...]],
    arg(
        metavar="IMAGE…",
        help="pictures of 8-bit grey or RGB, whose pixels are the model's levels",
        help_behavior_hint="",
    ),
]


@dataclass(frozen=True)
class Compress:
    """Compress pictures into one file with a trained model, without loss.

    Pictures may have any size; they are cut into patches of the model's size. Which way of coding
    is shorter is found out. The file is decoded and compared before it gets its name.
    """

    run_path: RunPath
    images: ImagePaths
    out: File
    """file to write"""
    no_verify: Annotated[bool, Flag] = False
    """do not decode the file before it gets its name"""
    data_dir: DataDir = None
    json: Json = False

    def run(self) -> Answer:
        """Write the file, and note where its model is."""
        writable(self.out)
        from mrvae.compression import Pictures, note, open_model, pack, training_images
        from mrvae.models.saved import read_recipe

        known = open_model(self.run_path)
        pictures = Pictures(self.images, known.network)
        seen = training_images(read_recipe(known.run), self.data_dir)
        packed = pack(known, pictures, self.out, seen=seen, verify=not self.no_verify)
        note(known)
        bpp = 8 * packed.size / packed.pixels
        values = {
            "file": str(self.out),
            "bytes": packed.size,
            "pixels": packed.pixels,
            "bpp": bpp,
            "mode": _mode(packed),
            "images": len(self.images),
            "patches": packed.patches,
            "payload_bits": packed.payload_bits,
            "ideal_bits": packed.ideal_bits,
            "seed_bits": packed.seed_bits,
            "seed_images": packed.seeds,
            "model": known.hash.hex(),
        }
        return Answer(values, _text(self.out, packed, len(self.images), bpp))


def _mode(packed: Packed) -> str:
    return "bitsback" if packed.chained else "direct"


def _text(out: Path, packed: Packed, images: int, bpp: float) -> str:
    overhead = packed.size - packed.payload_bits // 8
    return f"""\
wrote {out}: {images} images, {packed.pixels:,} pixels, {packed.size:,} bytes, {bpp:.3f} bpp
{_mode(packed)} coding, {packed.patches:,} patches, {overhead:,} bytes of header and checks"""
