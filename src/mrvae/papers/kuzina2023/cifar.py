"""The models of the Kodak experiment, as entries, and the photographs that they reconstruct.

One hierarchy without a context and three with, trained on CIFAR-10: the published ones at
``paper``, and below it small ones that see the 8,000 images of ``cifar10_8k.npz`` only. The
photographs are the folder ``kodak`` of the data folder; at ``smoke``, where it may be missing, one
made by code stands in for it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from mrvae.data import Picture, data_folder, gallery
from mrvae.papers.entries import Entry
from mrvae.papers.outcome import Budget
from mrvae.papers.workspace import Job, Workspace
from mrvae.recipes import override, recipe
from mrvae.recipes.context import AutoregressiveSpec, DCTSpec, NoContextSpec
from mrvae.sizes import sides

KINDS = ("vdvae", "dct", "dct-explicit", "dct-ycbcr")
_FOLDER = "kodak"


_PART = "data=cifar10_8k.npz"
_SMOKE = (
    _PART,
    *("training.steps=2", "training.validate_every=1", "training.batch=8", "training.warmup=1"),
    *("model.width=4", "model.latent=1", "model.likelihood.components=1"),
)
CHANGES: dict[Budget, tuple[str, ...]] = {"smoke": _SMOKE, "cpu": (_PART,), "paper": ()}
# At smoke, the upper left square of one photograph is enough.
_CROP = 40
_PRIOR = ("model.context.prior=autoregressive", "model.context.prior.hidden=256")
_YCBCR = ("model.context.ycbcr=true", "model.context.quantiser=mid_tread")
_STEP = f"model.context.quantiser.step={64 / 255}"
_PUBLISHED: dict[str, tuple[str, ...]] = {
    "vdvae": (),
    "dct": (),
    "dct-explicit": _PRIOR,
    "dct-ycbcr": (*_PRIOR, *_YCBCR, _STEP),
}


def cifar(budget: Budget) -> list[Entry]:
    """Return the baseline and its three contexts, each to be compared with the baseline.

    Example:
        >>> [entry.name for entry in cifar("cpu")]
        ['vdvae', 'dct', 'dct-explicit', 'dct-ycbcr']
        >>> [entry.job.name for entry in cifar("paper")][2]
        'kuzina2023-cifar10-dct-explicit-seed0'
    """
    make = _published if budget == "paper" else _small
    return [Entry(kind, make(kind, CHANGES[budget]), bases=("vdvae",)) for kind in KINDS]


def _small(kind: str, changes: tuple[str, ...]) -> Job:
    return Job(override(recipe(f"kuzina2023-cifar10-small-{kind}"), changes))


def _published(kind: str, changes: tuple[str, ...]) -> Job:
    """Return a published model; of the two that are ours, the DCT's with another top."""
    name, _, variation = kind.partition("-")
    known = recipe(f"kuzina2023-cifar10-{name}")
    return Job(override(known, (*_PUBLISHED[kind], *changes)), variation=variation)


def kept(entry: Entry) -> int:
    """Return how many top latents the experiment keeps: the context, or two where there is none.

    Example:
        >>> [kept(entry) for entry in cifar("cpu")]
        [2, 1, 1, 1]
    """
    return 2 if isinstance(entry.job.recipe.hierarchy.context, NoContextSpec) else 1


def meaning(entry: Entry) -> str:
    """Return what the rate of an entry is, in a word for a table.

    Example:
        >>> [meaning(entry) for entry in cifar("cpu")]
        ['KL', 'bound', 'pmf', 'pmf']
    """
    context = entry.job.recipe.hierarchy.context
    if not isinstance(context, DCTSpec):
        return "KL"
    return "pmf" if isinstance(context.prior, AutoregressiveSpec) else "bound"


def frequencies(entry: Entry) -> tuple[int, int] | None:
    """Return the side of an entry's patches and how many frequencies its context keeps along it.

    Example:
        >>> [frequencies(entry) for entry in cifar("cpu")]
        [None, (32, 6), (32, 6), (32, 6)]
    """
    model = entry.job.recipe.hierarchy
    context = model.context
    if not isinstance(context, DCTSpec):
        return None
    return model.sides[0], sides(context.frequencies)[0]


def trained_on(entries: Sequence[Entry]) -> str:
    """Return in words the training data; a part of a data set is named as a part.

    Example:
        >>> trained_on(cifar("cpu"))
        'the models are trained on cifar10_8k.npz'
    """
    sources = dict.fromkeys(entry.job.recipe.data.source for entry in entries)
    return f"the models are trained on {', '.join(sources)}"


def pictures(workspace: Workspace, limit: int | None = None) -> tuple[Picture, ...]:
    """Return the photographs of a budget, at most ``limit`` of them, from the first.

    Raises:
        ValueError: if the folder is missing, and the budget is not smoke.
    """
    if workspace.budget != "smoke":
        return gallery(_FOLDER, workspace.data_dir, limit)
    root = data_folder(workspace.data_dir)
    if root is None or not (root / _FOLDER).is_dir():
        return (made_up(_CROP),)
    (first,) = gallery(_FOLDER, workspace.data_dir, 1)
    return (Picture(first.name, first.pixels[:, :_CROP, :_CROP]),)


def made_up(side: int) -> Picture:
    """Return a picture of a sky above hills, made of three waves: uint8 (3, side, side).

    Example:
        >>> picture = made_up(8)
        >>> picture.pixels.shape, picture.pixels.min() < picture.pixels.max()
        (torch.Size([3, 8, 8]), tensor(True))
    """
    down = torch.linspace(0, 1, side)[:, None].expand(side, side)
    across = down.T
    hills = 0.5 + 0.1 * torch.sin(2 * math.pi * 3 * across) + 0.2 * (across - 0.5)
    below = (down > hills).float()
    channels = [bright - 0.4 * below * shade + 0.2 * down for bright, shade in _COLOURS]
    waves = 0.05 * torch.sin(2 * math.pi * 9 * (down + across))
    pixels = torch.stack([channel + waves for channel in channels]).clamp(0, 1) * 255
    return Picture("made-up", pixels.round().to(torch.uint8))


_COLOURS = ((0.5, 0.9), (0.6, 0.5), (0.75, 1.3))
