"""From arguments to a recipe: one by its name, or the one that the data ask for."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from mrvae.cli.declaration import Argument, Option
from mrvae.recipes import ALL, Recipe, override, recipe
from mrvae.recipes.automatic import ImageFacts, automatic
from mrvae.recipes.data import Data
from mrvae.recipes.schema import Model
from mrvae.sizes import ImageSize, size_text

if TYPE_CHECKING:
    from mrvae.data import Images
    from mrvae.data.signals.facts import SignalFacts

AUTO = "auto"

AnyRecipe = Annotated[
    str | None,
    Argument(
        "name of a recipe; mrvae recipes lists them; without one, --data chooses the model",
        metavar="[RECIPE]",
    ),
]
Source = Annotated[
    str | None,
    Option("data set, file or folder; without a recipe, the model is chosen for it", "PATH"),
]
Scale = Annotated[
    Literal["small", "medium", "large"],
    Option("of a chosen model: minutes on 2 cores, hours on one GPU, or days on several"),
]

_SIZE = ("size", "model.size")
_BLOCKS = ("encoder", "decoder", "model.encoder", "model.decoder")
_MEASURED = 4096
_CHUNK = 256


@dataclass(frozen=True)
class ChosenRecipe:
    """What the arguments name: a recipe, and whether it was chosen for the data."""

    recipe: Recipe
    chosen: bool

    def announce(self) -> None:
        """Print on stderr what was chosen, once for all processes."""
        if self.chosen and os.environ.get("RANK", "0") == "0":
            from mrvae.cli.notes import note

            for line in summary(self.recipe):
                note(line)


def choose(
    name: str | None,
    assignments: tuple[str, ...],
    source: str | None = None,
    scale: str = "small",
    data_dir: Path | None = None,
    steps: int | None = None,
) -> ChosenRecipe:
    """Return the recipe of a name, or that of the data, with its overrides.

    If the size of the images is assigned and the block strings are not, the ladder is rebuilt.
    ``steps`` is one more assignment, made last.

    Raises:
        ValueError: if there is no such recipe or source, or an assignment does not fit.
    """
    name = name or AUTO
    if "=" in name:
        name, assignments = AUTO, (name, *assignments)
    more = assignments if steps is None else (*assignments, f"training.steps={steps}")
    if name != AUTO and not _is_path(name):
        return ChosenRecipe(_resized(recipe(name), (*_of(source), *more)), chosen=False)
    where = source or (name if _is_path(name) else None) or _assigned(more, ("data", "data.source"))
    if where is None:
        raise ValueError(
            "give a recipe (mrvae recipes lists them), or --data PATH to have one chosen"
        )
    return ChosenRecipe(_chosen(where, more, scale, data_dir), chosen=True)


def summary(chosen: Recipe) -> list[str]:
    """Return in words what was chosen, a line each."""
    model, training = chosen.hierarchy, chosen.training
    width, latent = (",".join(map(str, values)) for values in (model.width, model.latent))
    return [
        chosen.about,
        f"model.encoder={model.encoder} model.decoder={model.decoder}",
        f"model.width={width} model.latent={latent} model.likelihood={_kind(model)} "
        f"training.batch={training.batch} training.steps={training.steps}",
    ]


def _kind(model: Model) -> str:
    return str(model.likelihood.__struct_config__.tag)


def _is_path(name: str) -> bool:
    """Whether a name that no recipe has is a file or a folder."""
    return all(name != known.name for known in ALL) and Path(name).exists()


def _of(source: str | None) -> tuple[str, ...]:
    return () if source is None else (f"data.source={source}",)


def _assigned(assignments: tuple[str, ...], keys: tuple[str, ...]) -> str | None:
    """Return the last text that is assigned to one of the keys."""
    pairs = [assignment.partition("=") for assignment in assignments]
    values = [value for key, _, value in pairs if key in keys]
    return values[-1] if values else None


def _resized(known: Recipe, assignments: tuple[str, ...]) -> Recipe:
    """Return the recipe with its overrides, its ladder rebuilt if only the size is assigned."""
    changed = override(known, assignments)
    given = _assigned(assignments, _BLOCKS) is not None
    if _assigned(assignments, _SIZE) is None or given or not isinstance(changed.model, Model):
        return changed
    if changed.model.size == known.model.size:
        return changed
    from msgspec.structs import replace

    from mrvae.models.build.resize import resized

    return replace(changed, model=resized(changed.model))


def _chosen(source: str, assignments: tuple[str, ...], scale: str, data_dir: Path | None) -> Recipe:
    """Return the recipe of the rule for the images or signals of a source, with its overrides."""
    from mrvae.data.signals.facts import signal_facts

    signals = signal_facts(source, data_dir)
    if signals is not None:
        return override(_chosen_signal(source, signals, assignments, scale, data_dir), assignments)
    size, data = _size_and_data(source, assignments)
    facts = _facts(data, size, data_dir)
    return override(automatic(data.source, facts, scale), assignments)


def _chosen_signal(
    source: str, facts: SignalFacts, assignments: tuple[str, ...], scale: str, data_dir: Path | None
) -> Recipe:
    """Return the recipe of the rule for windows of signals, of the length that is assigned if any.

    Its likelihood has 256 bins whatever they are used for, as the quantiser has.
    """
    from msgspec.structs import replace

    from mrvae.data.signals.load import load_signals

    given = _assigned(assignments, _SIZE)
    size = (1, facts.window)
    if given is not None:
        blank = automatic(source, ImageFacts(facts.channels, size, 256, 127.5, 64.0), scale)
        size = override(blank, [f"model.size={given}"]).hierarchy.sides
    image = (facts.channels, *size)
    images = load_signals(source, "train", data_dir, facts.spec, image, 256)
    _, mean, deviation = _values(images)
    made = automatic(source, ImageFacts(facts.channels, size, 256, mean, deviation), scale)
    return replace(made, data=Data(source, signal=facts.spec))


def _size_and_data(source: str, assignments: tuple[str, ...]) -> tuple[ImageSize | None, Data]:
    """Return what the assignments say of the data, and the size of the images if it is given."""
    fields = {key for name in Data.__struct_fields__ for key in (name, f"data.{name}")}
    keys = [(assignment.partition("=")[0], assignment) for assignment in assignments]
    about = [a for key, a in keys if key in {"data", *fields} or key.startswith("data.")]
    size = [a for key, a in keys if key in _SIZE]
    unknown = automatic(source, ImageFacts(1, 8, 256, 127.5, 64.0), "small")
    changed = override(unknown, [*size, *about])
    return changed.model.size if size else None, changed.data


def _facts(data: Data, size: ImageSize | None, data_dir: Path | None) -> ImageFacts:
    """Return what the rule reads off the training images."""
    images = _images(data, size, data_dir)
    channels, height, width = images.shape
    bins, mean, deviation = _values(images)
    shape: ImageSize = (height, width) if height != width else height
    if data.binary:
        share = mean / (bins - 1)
        return ImageFacts(channels, size or shape, 2, share, math.sqrt(share * (1 - share)))
    if data.bits < 8:
        step = 1 << (8 - data.bits)
        return ImageFacts(channels, size or shape, 1 << data.bits, mean / step, deviation / step)
    return ImageFacts(channels, size or shape, bins, mean, deviation)


def _images(data: Data, size: ImageSize | None, data_dir: Path | None) -> Images:
    """Return the training images as they are, or converted to the size that is given."""
    from mrvae.data import load
    from mrvae.data.files.patches import load_patches
    from mrvae.data.prepare import conversion_of
    from mrvae.recipes.cut import Patches
    from mrvae.recipes.data import ToGrey
    from mrvae.sizes import sides

    cut = isinstance(data.cut, Patches)
    if size is None and (data.fit or data.pad or cut):
        raise ValueError(
            "images that are fitted, padded or cut need a size; add model.size=64, or another"
        )
    height, width = sides(size or 1)
    conversion = conversion_of(data, height, width)
    if isinstance(data.cut, Patches):
        channels = 1 if isinstance(data.mode, ToGrey) else 3
        shape = (channels, height, width)
        return load_patches(data.source, "train", data_dir, data.cut, shape, conversion)
    return load(data.source, "train", data_dir, conversion)


def _values(images: Images) -> tuple[int, float, float]:
    """Return the bins of all pixels, and mean and deviation of those of the first images."""
    import torch

    largest, count = 0, 0
    total = squares = 0.0
    for indices in torch.split(torch.arange(len(images)), _CHUNK):
        x = images.take(indices)
        largest = max(largest, int(x.max()))
        if count < _MEASURED * math.prod(images.shape):
            real = x.double()
            count += real.numel()
            total += float(real.sum())
            squares += float(real.square().sum())
    mean = total / count
    bins = images.bins if images.bins < 256 else _bins(largest)
    return bins, mean, math.sqrt(max(squares / count - mean**2, 0.0))


def _bins(largest: int) -> int:
    """Return the bins of values from 0 to a largest one: a few, or all 256."""
    few = 32
    return max(largest + 1, 2) if largest < few else 256


def blocks_of(chosen: Recipe) -> list[list[str]]:
    """Return the block strings of a recipe as lines of a description; none without blocks."""
    if not isinstance(chosen.model, Model):
        return []
    return [
        ["images", f"{size_text(chosen.model.size)} pixels, {chosen.model.channels} channels"],
        ["encoder", chosen.model.encoder],
        ["decoder", chosen.model.decoder],
    ]
