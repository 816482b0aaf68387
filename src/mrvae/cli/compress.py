"""``mrvae compress``."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from mrvae.cli.checks import check_output, check_positive
from mrvae.cli.command import Answer
from mrvae.cli.declaration import Argument, Option
from mrvae.cli.options import DataDir, Json, RunPath

if TYPE_CHECKING:
    from torch import Tensor

    from mrvae.compression import CodingModel, PackedFile, PackedProgressiveFile, Pictures


@dataclass(frozen=True)
class Compress:
    """Compress pictures into one file with a trained model, without loss unless asked.

    Pictures may have any size; they are cut into patches of the model's size. The shorter of two
    ways of coding is used. The file is decoded and compared before it gets its name. The first
    layers of a progressive file decode to a coarser picture, so it can be cut or made shorter.
    """

    run_path: RunPath
    images: Annotated[
        tuple[Path, ...],
        Argument(
            "pictures of 8-bit grey or RGB, whose pixels are the model's levels", metavar="IMAGE…"
        ),
    ]
    out: Annotated[Path, Option("file to write")]
    no_verify: Annotated[bool, Option("do not decode the file before it gets its name")] = False
    no_search: Annotated[
        bool, Option("faster: do not search for latents that make a file of few pictures shorter")
    ] = False
    progressive: Annotated[
        bool, Option("write layers from coarse to fine; every beginning of the file decodes")
    ] = False
    keep: Annotated[
        int | None, Option("write the top N latents only, counting a context; lossy, progressive")
    ] = None
    max_bpp: Annotated[
        float | None, Option("write as many layers as fit into R bits per pixel; progressive")
    ] = None
    data_dir: DataDir = None
    json: Json = False

    def run(self) -> Answer:
        """Write the file, and note where its model is."""
        check_output(self.out, self.images)
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
