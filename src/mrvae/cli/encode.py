"""``mrvae encode``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from mrvae.cli.checks import check_output, check_positive
from mrvae.cli.coding_bar import progress_bar
from mrvae.cli.command import Answer
from mrvae.cli.declaration import Option
from mrvae.cli.inputs import CutLarger, Fit, InputOptions, Paths
from mrvae.cli.options import Best, DataDir, Device, Json, Quiet, RunPath, Split
from mrvae.cli.tables import table
from mrvae.recipes.validation import shown


@dataclass(frozen=True)
class Encode:
    """Write the latents of images, the means of their posteriors, into one .npz file.

    The file has the names of the images and one array (N, C, H, W) for each latent: latent_1 is the
    coarsest, or the codes of the context if the model has one. mrvae decode makes images of it.
    """

    run_path: RunPath
    out: Annotated[Path, Option("file to write, its name ending in .npz")]
    paths: Paths = ()
    layers: Annotated[
        tuple[int, ...], Option("numbers of the latents, from 1, coarse to fine; by default all")
    ] = ()
    limit: Annotated[int | None, Option("number of images, from the first; by default all")] = None
    fit: Fit = False
    cut: CutLarger = False
    split: Split = "test"
    data_dir: DataDir = None
    quiet: Quiet = False
    best: Best = False
    device: Device = None
    json: Json = False

    def run(self) -> Answer:
        """Encode, and write the file."""
        check_positive(limit=self.limit)
        if self.out.suffix.lower() != ".npz":
            raise ValueError(f"--out is {shown(str(self.out))}; give a name that ends in .npz")
        check_output(self.out)
        options = InputOptions(
            self.paths, self.split, self.data_dir, self.limit, self.fit, self.cut
        )
        options.check(self.out)
        from mrvae.cli.runs import open_run
        from mrvae.evaluation import encode_images

        run = open_run(self.run_path, self.best, device=self.device)
        inputs = options.read(run)
        with progress_bar("encode", len(inputs.names), "images", self.quiet) as advance:
            archive = encode_images(
                run.model, inputs.images, inputs.names, self.layers, progress=advance
            )
        archive.write(self.out)
        layers = [
            {"latent": number, "shape": list(z.shape[1:])} for number, z in archive.latents.items()
        ]
        values = {
            "run": str(self.run_path),
            "paths": list(self.paths),
            "split": self.split,
            "images": len(archive.names),
            "latents": layers,
            "model": archive.model,
            "out": str(self.out),
        }
        rows = [["latent", "channels", "height", "width"]]
        shapes = [[str(n), *map(str, z.shape[1:])] for n, z in archive.latents.items()]
        text = f"wrote the latents of {len(archive.names)} images to {self.out}"
        return Answer(values, f"{table([*rows, *shapes])}\n\n{text}")
