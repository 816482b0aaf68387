"""``mrvae compress``."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from mrvae.cli.answer import Answer
from mrvae.cli.options import (
    DataDir,
    File,
    Flag,
    Json,
    MaybeNumber,
    MaybeWhole,
    RunPath,
    check_positive,
)
from mrvae.files import writable

if TYPE_CHECKING:
    from torch import Tensor

    from mrvae.compression import CodingModel, PackedFile, PackedProgressiveFile, Pictures

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
    """Compress pictures into one file with a trained model, without loss unless asked.

    Pictures may have any size; they are cut into patches of the model's size. Which way of coding
    is shorter is found out. The file is decoded and compared before it gets its name. Of a
    progressive file the first layers are a coarser picture: it can be cut, or made shorter.
    """

    run_path: RunPath
    images: ImagePaths
    out: File
    """file to write"""
    no_verify: Annotated[bool, Flag] = False
    """do not decode the file before it gets its name"""
    no_search: Annotated[bool, Flag] = False
    """do not search for latents that make a file of few pictures shorter; faster"""
    progressive: Annotated[bool, Flag] = False
    """write layers from coarse to fine, of which every beginning decodes"""
    keep: MaybeWhole = None
    """write the top N latents only, a context being the first; lossy, and progressive"""
    max_bpp: MaybeNumber = None
    """write as many layers as fit into so many bits a pixel; progressive"""
    data_dir: DataDir = None
    json: Json = False

    def run(self) -> Answer:
        """Write the file, and note where its model is."""
        writable(self.out)
        check_positive(keep=self.keep)
        if self.max_bpp is not None and not 0 < self.max_bpp < math.inf:
            raise ValueError(f"--max-bpp is {self.max_bpp}; give a number above 0")
        from mrvae.compression import Pictures, open_model, remember_model, training_images
        from mrvae.models.build.weights import read_recipe

        model = open_model(self.run_path)
        pictures = Pictures(self.images, model.network)
        calibration = training_images(read_recipe(model.run), self.data_dir)
        layered = self.progressive or self.keep is not None or self.max_bpp is not None
        pack = self._layers if layered else self._whole
        answer = pack(model, pictures, calibration)
        remember_model(model)
        return answer

    def _whole(self, model: CodingModel, pictures: Pictures, calibration: Tensor | None) -> Answer:
        """Write all of the pictures in the shorter way."""
        from mrvae.compression import ROUNDS, pack

        rounds = 0 if self.no_search else ROUNDS
        packed = pack(
            model,
            pictures,
            self.out,
            calibration=calibration,
            verify=not self.no_verify,
            rounds=rounds,
        )
        mode = "bitsback" if packed.bits_back else "direct"
        values = {
            **self._values(packed, mode),
            "seed_bits": packed.seed_bits,
            "seed_images": packed.seeds,
            "model": model.hash.hex(),
        }
        overhead = packed.size - packed.payload_bits // 8
        last = f"{mode} coding, {packed.patches:,} patches, {overhead:,} bytes of header and checks"
        return Answer(values, f"{self._wrote(packed)}\n{last}")

    def _layers(self, model: CodingModel, pictures: Pictures, calibration: Tensor | None) -> Answer:
        """Write the layers that are wanted."""
        from mrvae.compression import pack_layers

        packed = pack_layers(
            model,
            pictures,
            self.out,
            self.keep,
            self.max_bpp,
            calibration,
            verify=not self.no_verify,
        )
        values = {
            **self._values(packed, "progressive"),
            "lossless": packed.lossless,
            "layers": [{"name": name, "bytes": size} for name, size in packed.layers],
            "model": model.hash.hex(),
        }
        loss = "without loss" if packed.lossless else "lossy"
        each = ", ".join(f"{name} {size:,}" for name, size in packed.layers)
        return Answer(values, f"{self._wrote(packed)}\nprogressive, {loss}; bytes: {each}")

    def _values(self, packed: PackedFile | PackedProgressiveFile, mode: str) -> dict[str, object]:
        return {
            "file": str(self.out),
            "bytes": packed.size,
            "pixels": packed.pixels,
            "bpp": 8 * packed.size / packed.pixels,
            "mode": mode,
            "images": len(self.images),
            "patches": packed.patches,
            "payload_bits": packed.payload_bits,
            "ideal_bits": packed.ideal_bits,
        }

    def _wrote(self, packed: PackedFile | PackedProgressiveFile) -> str:
        bpp = 8 * packed.size / packed.pixels
        return (
            f"wrote {self.out}: {len(self.images)} images, {packed.pixels:,} pixels, "
            f"{packed.size:,} bytes, {bpp:.3f} bpp"
        )
