"""The images of a command: those that the user names, or a split of the run's own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from mrvae.cli.declaration import Argument, Option
from mrvae.cli.notes import note

if TYPE_CHECKING:
    from mrvae.cli.runs import Run
    from mrvae.data import Inputs, Sizes

Paths = Annotated[
    tuple[str, ...],
    Argument(
        "pictures, folders, .npy or .npz files, or names of data sets; by default the run's own "
        "images",
        metavar="[PATH …]",
    ),
]
Fit = Annotated[bool, Option("resize the images of PATH to the model's size and crop their centre")]
CutLarger = Annotated[
    bool, Option("cut the images of PATH into squares of the model's size", name="cut")
]


@dataclass(frozen=True)
class InputOptions:
    """Which images a command takes.

    Attributes:
        paths: what the user names; nothing for the run's own images.
        split: of the run's own images, and of a named set that has splits.
        data_dir: folder with the data.
        limit: number of images, from the first.
        fit: resize and crop what the user names.
        cut: cut what the user names into squares.
    """

    paths: tuple[str, ...]
    split: str
    data_dir: Path | None = None
    limit: int | None = None
    fit: bool = False
    cut: bool = False

    def check(self, *outputs: Path | None) -> None:
        """Refuse options that do not go together, and files to write over an input.

        Raises:
            ValueError: naming them.
        """
        for path in outputs:
            if path is not None and path.exists() and self._holds(path):
                raise ValueError(f"{path} is an input, or lies in one; give another name")
        if self.fit and self.cut:
            raise ValueError("--fit and --cut are given; one of them decides")
        if not self.paths and (self.fit or self.cut):
            raise ValueError(
                f"--{'fit' if self.fit else 'cut'} changes the images of a PATH, and none is given"
            )

    def read(self, run: Run) -> Inputs:
        """Return the images as the model sees them, each with its name."""
        from mrvae.data import Inputs, read_inputs

        if not self.paths:
            images = run.images(self.split, self.data_dir, self.limit)
            names = (f"{images.name} {self.split}[{index}]" for index in range(len(images)))
            return Inputs(images, tuple(names))
        every = read_inputs(run.recipe, self.paths, self.split, self.data_dir, self._sizes())
        if self.limit is not None and self.limit < len(every.names):
            note(f"the first {self.limit} of {len(every.names)} images are taken")
        return every.first(self.limit)

    def _holds(self, path: Path) -> bool:
        """Return whether an existing file is one of the inputs, or in a folder of them."""
        place = path.resolve()
        inputs = [Path(source).resolve() for source in self.paths if Path(source).exists()]
        return any(own == place or own in place.parents for own in inputs)

    @property
    def title(self) -> str:
        """What the images are, for the first line of an answer."""
        return self.split if not self.paths else ", ".join(self.paths[:3])

    def _sizes(self) -> Sizes | None:
        from mrvae.data import Sizes

        if self.fit:
            return Sizes.FIT
        return Sizes.CUT if self.cut else None
