"""``mrvae cut``."""

from __future__ import annotations

from bisect import bisect
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from mrvae.cli.checks import check_output, check_positive
from mrvae.cli.command import Answer
from mrvae.cli.declaration import Argument, Option
from mrvae.cli.options import Json
from mrvae.files import atomic

if TYPE_CHECKING:
    from mrvae.compression import Container


@dataclass(frozen=True)
class Cut:
    """Shorten a compressed file between two chunks, without its model.

    What is left of a progressive file decodes to coarser pictures, of another one to its first
    pictures. A cut must fall between two chunks; mrvae compress --json lists where, as "cuts".
    """

    file: Annotated[Path, Argument("file that mrvae compress wrote", metavar="FILE")]
    out: Annotated[Path, Option("file to write")]
    at: Annotated[int | None, Option("length of the new file in bytes, one of the cuts")] = None
    max_bytes: Annotated[int | None, Option("take the longest cut of at most N bytes")] = None
    json: Json = False

    def run(self) -> Answer:
        """Check the file, and write its beginning."""
        check_positive(at=self.at, max_bytes=self.max_bytes)
        if (self.at is None) == (self.max_bytes is None):
            raise ValueError("give one of --at and --max-bytes")
        check_output(self.out, (self.file,))
        from mrvae.compression import read_container

        container = read_container(self.file, large=True)
        if not container.cuts:
            raise ValueError(f"{self.file} was cut within its first chunk; nothing is left")
        end = self._at(container) if self.max_bytes is None else self._within(container)
        with self.file.open("rb") as file, atomic(self.out) as temporary:
            temporary.write_bytes(file.read(end))
        left = 1 + container.cuts.index(end)
        values = {
            "file": str(self.file),
            "out": str(self.out),
            "bytes": end,
            "chunks": left,
            "cuts": container.cuts[:left],
        }
        text = f"wrote {self.out}: {end:,} bytes, {left} of {container.header.chunks} chunks"
        return Answer(values, text)

    def _at(self, container: Container) -> int:
        """Return the place that was asked for, which must be a cut."""
        end = self.at or 0
        if end not in container.cuts:
            place = bisect(container.cuts, end)
            near = " or ".join(f"{cut:,}" for cut in container.cuts[max(0, place - 1) : place + 1])
            raise ValueError(f"--at is {end}, within a chunk of {self.file}; give {near}")
        return end

    def _within(self, container: Container) -> int:
        """Return the last cut of at most so many bytes."""
        most = self.max_bytes or 0
        place = bisect(container.cuts, most)
        if not place:
            raise ValueError(
                f"--max-bytes is {most}, and the shortest beginning of {self.file} has "
                f"{container.cuts[0]:,} bytes"
            )
        return container.cuts[place - 1]
