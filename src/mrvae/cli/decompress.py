"""``mrvae decompress``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from mrvae.cli.checks import check_coding_device, check_folder
from mrvae.cli.coding_bar import CodingBar
from mrvae.cli.command import Answer
from mrvae.cli.declaration import Argument, Option
from mrvae.cli.notes import warn
from mrvae.cli.options import Device, Json, Quiet

if TYPE_CHECKING:
    from mrvae.compression import Container


@dataclass(frozen=True)
class Decompress:
    """Write what a compressed file holds as it was: pictures as PNG, recordings as WAV.

    The model is found by the hash in the file: among those that ship with mrvae, then among those
    that compress has noted on this machine. Of a file that was cut, the pictures before the cut are
    written, or, if it is progressive, coarser ones, as far as its chunks are whole, with a warning.
    All pictures are written or none, and no file is written over.
    """

    file: Annotated[Path, Argument("file that mrvae compress wrote", metavar="FILE")]
    out: Annotated[Path, Option("folder for the pictures")]
    run_path: Annotated[
        Path | None, Option("run directory of the file's model; by default found", name="run")
    ] = None
    yes_large: Annotated[
        bool, Option("decode also a file that declares far more pixels than its size allows")
    ] = False
    device: Device = None
    quiet: Quiet = False
    json: Json = False

    def run(self) -> Answer:
        """Check the file, find its model, write the pictures."""
        check_coding_device(self.device)
        folder = self.out
        check_folder(folder)
        if not folder.parent.is_dir():
            raise ValueError(f"--out is {folder}, and {folder.parent} does not exist; make it")
        if not self.file.is_file():
            raise ValueError(f"{self.file} is no file; name one that mrvae compress wrote")
        from mrvae.compression import find_model, open_model, read_container, unpack

        container = read_container(self.file, self.yes_large)
        model = open_model(self.run_path or find_model(container.header.model_hash))
        with CodingBar("decompress", container.header.patches, self.quiet) as bar:
            written = unpack(container, model, folder, bar)
        missing = len(container.header.entries) - len(written)
        if container.cut:
            warn(_cut(container, missing))
        header = container.header
        values = {
            "file": str(self.file),
            "out": str(folder),
            "images": [str(path) for path in written],
            "missing": missing,
            "lossless": header.lossless and not (container.cut and header.mode.layered),
            "chunks": len(container.places),
            "run": str(model.run),
        }
        what = "pictures" if header.signal is None else "recordings"
        return Answer(values, f"wrote {len(written)} {what} to {folder}")


def _cut(container: Container, missing: int) -> str:
    """Return what is missing from a file that was cut."""
    header = container.header
    coarser = "pictures are coarser than they were written, and " if header.mode.layered else ""
    torn = ", within the next one" if container.torn else ""
    return (
        f"{container.path} was cut after {len(container.places)} of {header.chunks} chunks{torn}; "
        f"{coarser}{missing} pictures are missing"
    )
