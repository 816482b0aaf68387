"""What the pictures of a folder have in common, or how many there are of which kind.

Headers are read of all files, so that one refusal names everything in which they differ, and the
options of a recipe that would take them all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from mrvae.data.files.conversion import Conversion
from mrvae.data.files.formats import Declared, Excess
from mrvae.data.files.image_files import examined, read
from mrvae.data.files.listing import warn
from mrvae.data.framing import Crop
from mrvae.recipes.data import Opaque, OverWhite, ToGrey, ToRGB

Shape = tuple[int, int, int]

_KINDS, _SIZES = 16, 5
# Files of so many bytes are decoded to find the damaged ones, once they are refused anyway.
_DECODED = 1 << 26


@dataclass(frozen=True)
class Survey:
    """The headers of the pictures of a folder.

    Args:
        folder: that holds the pictures.
        files: what the pictures declare.
        problems: why the others cannot be read.
    """

    folder: Path
    files: Mapping[Path, Declared]
    problems: Mapping[Path, str]

    def check_readable(self, conversion: Conversion) -> None:
        """Refuse pictures of which one cannot be read, and may not be left out.

        Raises ``ValueError``.
        """
        if self.problems and not (conversion.skip_unreadable and self.files):
            problem = next(iter(self.problems.values()))
            raise ValueError(f"{problem}; {_leave_out(len(self.problems))}")

    def common(
        self, conversion: Conversion, expected: Shape | None = None, *, sizes: bool = True
    ) -> Declared:
        """Return a picture that has the image's colours, largest value and size of all.

        Without ``sizes`` these may differ. Raises ``ValueError`` if two differ otherwise, once they
        are converted; it counts them by kind and by size, and names the options that take them all.
        """
        unlike = {
            (
                conversion.obstacles(file),
                conversion.shape(file)[: None if sizes else 1],
                conversion.largest(file),
            )
            for file in self.files.values()
        }
        if len(unlike) > 1 or any(obstacles for obstacles, *_ in unlike):
            raise self._refusal(conversion, expected, sizes=sizes)
        self.check_readable(conversion)
        return next(iter(self.files.values()))

    def log(self, conversion: Conversion) -> None:
        """Log what conversions lose, what is cropped, and how many pictures cannot be read."""
        losses = Counter(words for file in self.files.values() for words in conversion.losses(file))
        if losses:
            counts = ", ".join(f"{count} {words}" for words, count in sorted(losses.items()))
            warn(f"mrvae: {self.folder}: pictures are converted: {counts}")
        log_cropped(self.folder, conversion, [file.upright for file in self.files.values()])
        _log_unreadable(self.folder, self.problems)

    def _refusal(
        self, conversion: Conversion, expected: Shape | None, *, sizes: bool
    ) -> ValueError:
        """Return the error that counts the pictures by kind and by size."""
        wanted, options = self._options(conversion, expected)
        if sizes and conversion.framing is None and len(set(map(wanted.shape, self._every))) > 1:
            options.append("data.fit=true")
        problems = {**self.problems, **self._damaged(wanted)}
        counts = _counted({path: _kind(file) for path, file in self.files.items()}, _KINDS)
        if sizes:
            of_size = {path: "of {1}×{0}".format(*f.upright) for path, f in self.files.items()}
            counts += f"; {_counted(of_size, _SIZES)}"
        if problems:
            options.append("data.skip_unreadable=true")
            counts += f"; {len(problems)} cannot be read ({next(iter(problems.values()))})"
        everything = "all that can be read" if problems else "them all"
        whole = "; data.pad=true crops nothing" if "data.fit=true" in options else ""
        return ValueError(
            f"{self.folder}: pictures are not of one kind: {counts}; set {' '.join(options)} to "
            f"take {everything}{whole}"
        )

    def _options(
        self, conversion: Conversion, expected: Shape | None
    ) -> tuple[Conversion, list[str]]:
        """Return the colour options that take all pictures, and the conversion that they make."""
        files, options = self._every, []
        if isinstance(conversion.alpha, Opaque) and any(file.has(Excess.ALPHA) for file in files):
            conversion = replace(conversion, alpha=OverWhite())
            options.append("data.alpha=white")
        unlike = {(file.channels, conversion.largest(file)) for file in files}
        if len(unlike) > 1 or any(map(conversion.obstacles, files)):
            colour = any(file.channels == 3 for file in files)
            rgb = colour if expected is None else expected[0] == 3
            conversion = replace(conversion, mode=ToRGB() if rgb else ToGrey())
            options.insert(0, "data.mode=rgb" if rgb else "data.mode=grey")
        return conversion, options

    @property
    def _every(self) -> list[Declared]:
        return list(self.files.values())

    def _damaged(self, conversion: Conversion) -> dict[Path, str]:
        """Return the pictures that cannot be decoded, of a set that is small enough to try."""
        if sum(path.stat().st_size for path in self.files) > _DECODED:
            return {}
        damaged = {}
        for path in self.files:
            try:
                read(path, conversion)
            except ValueError as error:
                damaged[path] = str(error)
        return damaged


def survey(folder: Path, paths: Sequence[Path]) -> Survey:
    """Read the headers of pictures."""
    files, problems = {}, {}
    for path in paths:
        try:
            files[path] = examined(path)
        except ValueError as error:
            problems[path] = str(error)
    return Survey(folder, files, problems)


def decoded(
    folder: Path, paths: Sequence[Path], conversion: Conversion
) -> Iterator[tuple[Path, Tensor]]:
    """Yield pictures and their pixels, without those that are damaged and may be left out.

    Raises ``ValueError`` for the first that is damaged and may not.
    """
    problems = {}
    for path in paths:
        try:
            pixels = read(path, conversion)
        except ValueError as error:
            if not conversion.skip_unreadable:
                raise ValueError(f"{error}; {_leave_out(1)}") from None
            problems[path] = str(error)
        else:
            yield path, pixels
    _log_unreadable(folder, problems)


def log_cropped(
    place: Path | str, conversion: Conversion, sizes: Sequence[tuple[int, int]]
) -> None:
    """Log how much of pictures of these heights and widths is cropped."""
    if not isinstance(conversion.framing, Crop):
        return
    lost = [conversion.framing.lost(*size) for size in sizes]
    if lost and max(lost) > 0:
        mean, most = 100 * sum(lost) / len(lost), 100 * max(lost)
        much = f"{mean:.0f} % of every picture"
        if f"{mean:.0f}" != f"{most:.0f}":
            much = f"{mean:.0f} % of a picture on average, {most:.0f} % at most"
        warn(f"mrvae: {place}: data.fit crops {much}; data.pad=true crops nothing")


def _log_unreadable(folder: Path, problems: Mapping[Path, str]) -> None:
    """Log how many pictures are left out because they cannot be read."""
    if problems:
        are = "picture is" if len(problems) == 1 else "pictures are"
        first = next(iter(problems.values()))
        warn(f"mrvae: {folder}: {len(problems)} {are} left out as unreadable ({first})")


def _leave_out(count: int) -> str:
    what = "it" if count == 1 else f"the {count} that cannot be read"
    return f"or leave {what} out by data.skip_unreadable=true"


def _kind(file: Declared) -> str:
    """Return a picture's colours, depth and transparency in words."""
    colours = "grey" if file.channels == 1 else "RGB"
    levels = f"of {file.largest + 1} levels" if 1 < file.largest < 255 else ""
    bits = "of 1 bit" if file.largest == 1 and not file.has(Excess.BILEVEL) else ""
    excess = [excess.value for excess, _ in file.excess]
    return " ".join(filter(None, [colours, levels, bits, *excess]))


def _counted(kinds: Mapping[Path, str], listed: int) -> str:
    """Return how many there are of each kind, most first, with the first of each."""
    counts = Counter(kinds.values())
    first: dict[str, Path] = {}
    for path, kind in kinds.items():
        first.setdefault(kind, path)
    most = counts.most_common(listed)
    text = ", ".join(f"{count} {kind} ({first[kind].name})" for kind, count in most)
    others = counts.total() - sum(count for _, count in most)
    return text + (f", {others} of {len(counts) - listed} others" if others else "")
