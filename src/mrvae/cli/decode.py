"""``mrvae decode``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from mrvae.cli.checks import check_new_folder, check_seed, check_temperature
from mrvae.cli.coding_bar import counted, progress_bar
from mrvae.cli.command import Answer
from mrvae.cli.declaration import Argument, Option
from mrvae.cli.notes import warn
from mrvae.cli.options import Best, Device, Json, Quiet, RunPath, Seed


@dataclass(frozen=True)
class Decode:
    """Write the mean images of latents, each as a PNG file.

    Latents that the file does not have come from the prior, at --temperature. A picture has the
    name that was encoded. All pictures are written or none, and no file is written over.
    """

    run_path: RunPath
    file: Annotated[Path, Argument("file that mrvae encode wrote", metavar="LATENTS.npz")]
    out: Annotated[Path, Option("folder for the pictures")]
    temperature: Annotated[
        float, Option("temperature of the prior of missing latents; 0 takes its means")
    ] = 0.0
    seed: Seed = 0
    quiet: Quiet = False
    best: Best = False
    device: Device = None
    json: Json = False

    def run(self) -> Answer:
        """Read the file, and write the pictures."""
        check_temperature((self.temperature,))
        check_seed(self.seed)
        check_new_folder(self.out)
        from mrvae.cli.runs import open_run
        from mrvae.evaluation import (
            check_latent_shapes,
            decode_latents,
            read_archive,
            weights_digest,
        )

        run = open_run(self.run_path, self.best, device=self.device)
        archive = read_archive(self.file)
        check_latent_shapes(run.model, archive.latents)
        if archive.model != weights_digest(run.model):
            warn(f"{self.file} was encoded by a model with other weights than {self.run_path}")
        names = [stem(name) for name in archive.names]
        with progress_bar("decode", len(names), "images", self.quiet) as advance:
            batches = decode_latents(
                run.model, archive.latents, temperature=self.temperature, seed=self.seed
            )
            written = run.write_each(self.out, names, counted(batches, advance))
        depth = run.model.stochastic_depth
        values = {
            "run": str(self.run_path),
            "file": str(self.file),
            "images": [str(path) for path in written],
            "latents": sorted(archive.latents),
            "missing": sorted(set(range(1, depth + 1)) - archive.latents.keys()),
            "out": str(self.out),
        }
        text = f"wrote {len(written)} pictures of {len(archive.latents)} of {depth} latents to "
        return Answer(values, f"{text}{self.out}")


def stem(name: str) -> str:
    """Return a name without the ending of a picture.

    Example:
        >>> stem("a/b.PNG"), stem("all.npy[3]")
        ('a/b', 'all.npy[3]')
    """
    from mrvae.data.files.image_files import SUFFIXES

    ending = next((s for s in SUFFIXES if name.lower().endswith(s)), "")
    return name[: len(name) - len(ending)]
