"""``mrvae compress``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from mrvae.cli.checks import check_coding_device, check_output, check_positive
from mrvae.cli.coding_bar import CodingBar
from mrvae.cli.command import Answer
from mrvae.cli.declaration import Argument, Option
from mrvae.cli.notes import note
from mrvae.cli.options import DataDir, Device, Json, Quiet, RunPath
from mrvae.recipes.data import Signal, SignalSpec

if TYPE_CHECKING:
    from torch import Tensor

    from mrvae.compression import CodingModel, PackedFile, PackedProgressiveFile, Pictures


@dataclass(frozen=True)
class Compress:
    """Compress pictures or signals into one file with a model, without loss unless asked.

    Signals are WAV files of the recipe's rate, whose samples are values of its bins; --quantise
    rounds others to these values. Pictures and signals may have any size; they are cut into patches
    of the model's size. The shorter of two ways of coding is used. The file is decoded and compared
    with what was given before it gets its name. The first layers of a progressive file decode to
    coarser pictures, so it can be cut: a cut must fall between two chunks. --json lists where, as
    "cuts", and mrvae cut makes one.
    """

    run_path: RunPath
    images: Annotated[
        tuple[Path, ...],
        Argument(
            "pictures of 8-bit grey or RGB, whose pixels are the model's values, or folders of "
            "pictures, taken in the order of names; of a model of signals WAV files",
            metavar="IMAGE…",
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
    quantise: Annotated[
        bool, Option("round the samples of recordings to the values of the recipe's bins; lossy")
    ] = False
    data_dir: DataDir = None
    device: Device = None
    quiet: Quiet = False
    json: Json = False

    @property
    def layered(self) -> bool:
        """Whether the file is progressive."""
        return self.progressive or self.keep is not None or self.max_bpp is not None

    def run(self) -> Answer:
        """Write the file, and note where its model is."""
        check_positive(keep=self.keep)
        if self.max_bpp is not None and not 0 < self.max_bpp < math.inf:
            raise ValueError(f"--max-bpp is {self.max_bpp}; give a number above 0")
        check_coding_device(self.device)
        check_output(self.out, self.images)
        from mrvae.compression import open_model, remember_model, training_images
        from mrvae.models.build.weights import read_recipe

        model = open_model(self.run_path)
        recipe = read_recipe(model.run)
        pictures = self._pictures(model, recipe.data.signal)
        check_output(self.out, pictures.paths)
        self._expect(model, pictures)
        calibration = training_images(recipe, self.data_dir)
        with CodingBar("compress", self._work(pictures), self.quiet) as bar:
            pack = self._layers if self.layered else self._whole
            answer = pack(model, pictures, calibration, bar)
        remember_model(model)
        return answer

    def _pictures(self, model: CodingModel, signal: Signal) -> Pictures:
        """Return the pictures to be coded, or the recordings."""
        from mrvae.compression import Pictures, wav_files

        if not isinstance(signal, SignalSpec):
            if self.quantise:
                raise ValueError("--quantise is for recordings, and this model is of pictures")
            return Pictures(picture_paths(self.images), model.network)
        from mrvae.data.signals.wav import SUFFIXES

        paths = picture_paths(self.images, SUFFIXES)
        bins = model.network.model.frame.bins
        return Pictures(paths, model.network, wav_files(paths, signal, bins, self.quantise))

    def _work(self, pictures: Pictures) -> int:
        """Return how many patches are coded, and decoded to compare them."""
        return pictures.patches * (1 if self.no_verify else 2)

    def _expect(self, model: CodingModel, pictures: Pictures) -> None:
        """Print what a model of a context only is made for, if it is asked for something else."""
        if model.network.shapes or self.keep is not None or self.max_bpp is not None:
            return
        from mrvae.compression import png_bytes

        note(
            "this model is a context only and made for --keep 1; without loss its files are long. "
            f"As PNG these pictures take {png_bytes(pictures):,} bytes"
        )

    def _whole(
        self, model: CodingModel, pictures: Pictures, calibration: Tensor | None, bar: CodingBar
    ) -> Answer:
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
            progress=bar,
        )
        mode = "bitsback" if packed.bits_back else "direct"
        values = {
            **self._values(packed, pictures, mode),
            "seed_bits": packed.seed_bits,
            "seed_images": packed.seeds,
            "model": model.hash.hex(),
        }
        overhead = packed.size - packed.payload_bits // 8
        last = f"{mode} coding, {packed.patches:,} patches, {overhead:,} bytes of header and checks"
        return Answer(values, f"{self._wrote(packed, pictures)}\n{last}")

    def _layers(
        self, model: CodingModel, pictures: Pictures, calibration: Tensor | None, bar: CodingBar
    ) -> Answer:
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
            progress=bar,
        )
        values = {
            **self._values(packed, pictures, "progressive"),
            "lossless": packed.lossless,
            "layers": [{"name": name, "bytes": size} for name, size in packed.layers],
            "model": model.hash.hex(),
        }
        loss = "without loss" if packed.lossless else "lossy"
        each = ", ".join(f"{name} {size:,}" for name, size in packed.layers)
        return Answer(
            values, f"{self._wrote(packed, pictures)}\nprogressive, {loss}; bytes: {each}"
        )

    def _values(
        self, packed: PackedFile | PackedProgressiveFile, pictures: Pictures, mode: str
    ) -> dict[str, object]:
        if not packed.limited:
            note(
                f"{self.out} is short for what it holds, so that mrvae decompress needs --yes-large"
            )
        return {
            "file": str(self.out),
            "bytes": packed.size,
            "pixels": packed.pixels,
            "bpp": 8 * packed.size / packed.pixels,
            "mode": mode,
            "images": len(pictures.paths),
            "patches": packed.patches,
            "payload_bits": packed.payload_bits,
            "ideal_bits": packed.ideal_bits,
            "cuts": packed.cuts,
        }

    def _wrote(self, packed: PackedFile | PackedProgressiveFile, pictures: Pictures) -> str:
        bpp = 8 * packed.size / packed.pixels
        return (
            f"wrote {self.out}: {len(pictures.paths)} images, {packed.pixels:,} pixels, "
            f"{packed.size:,} bytes, {bpp:.3f} bpp"
        )


def picture_paths(given: Sequence[Path], suffixes: Sequence[str] = ()) -> tuple[Path, ...]:
    """Return the given pictures, and in the place of a folder those in it, in the order of names.

    ``suffixes`` are those of files of a folder that are taken; by default of pictures.

    What is left out of a folder, other files and further folders, is counted on stderr.

    Raises:
        ValueError: if a folder holds no picture.
    """
    paths: list[Path] = []
    for path in given:
        paths += _pictures_of(path, suffixes) if path.is_dir() else [path]
    return tuple(paths)


def _pictures_of(folder: Path, suffixes: Sequence[str]) -> list[Path]:
    from mrvae.data.files.image_files import SUFFIXES

    wanted = suffixes or SUFFIXES
    visible = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    chosen = [path for path in visible if path.suffix.lower() in wanted and path.is_file()]
    if not chosen:
        raise ValueError(f"{folder} holds no pictures; name a folder of {', '.join(wanted)}")
    if len(chosen) < len(visible):
        left = len(visible) - len(chosen)
        note(f"{folder}: {len(chosen)} pictures are taken, {left} other files or folders are not")
    return chosen
