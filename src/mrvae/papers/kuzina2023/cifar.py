"""The models of the Kodak experiment, as cells, and the photographs that they are shown.

One hierarchy without a context and three with, trained on CIFAR-10: the published ones at
``paper``, and below it small ones that see the 8,000 images of ``cifar10_8k.npz`` only. The
photographs are the folder ``kodak`` of the data folder; at ``smoke``, where it may be missing, one
made by code stands in for it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mrvae.papers.entries import Entry
from mrvae.papers.outcome import Budget
from mrvae.papers.workspace import Job, Workspace
from mrvae.recipes import override, recipe
from mrvae.recipes.context import AutoregressiveSpec, DCTSpec, NoContextSpec

if TYPE_CHECKING:
    from mrvae.data import Picture

KINDS = ("vdvae", "dct", "dct-explicit", "dct-ycbcr")
_FOLDER = "kodak"


@dataclass(frozen=True)
class Plan:
    """What a budget allows.

    Attributes:
        changes: to the small recipes.
        pictures: number of photographs, from the first; all if None.
        crop: side of the upper left square that is looked at; all of the photograph if None.
    """

    changes: tuple[str, ...]
    pictures: int | None = None
    crop: int | None = None


_PART = "data=cifar10_8k.npz"
_SMOKE = (
    _PART,
    *("training.steps=2", "training.validate_every=1", "training.batch=8", "training.warmup=1"),
    *("model.width=4", "model.latent=1", "model.likelihood.components=1"),
)
PLANS: dict[Budget, Plan] = {
    "smoke": Plan(_SMOKE, pictures=1, crop=40),
    "cpu": Plan((_PART,)),
    "paper": Plan(()),
}
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
    """Return the baseline and its three contexts, in this order.

    Example:
        >>> [cell.name for cell in cifar("cpu")]
        ['vdvae', 'dct', 'dct-explicit', 'dct-ycbcr']
        >>> [cell.job.name for cell in cifar("paper")][2]
        'kuzina2023-cifar10-dct-explicit-seed0'
    """
    return [
        Entry(kind, _published(kind) if budget == "paper" else _small(kind, budget))
        for kind in KINDS
    ]


def _small(kind: str, budget: Budget) -> Job:
    return Job(override(recipe(f"kuzina2023-cifar10-small-{kind}"), PLANS[budget].changes))


def _published(kind: str) -> Job:
    """Return a published model; of the two that are ours, the DCT's with another top."""
    name, _, variation = kind.partition("-")
    known = recipe(f"kuzina2023-cifar10-{name}")
    return Job(override(known, _PUBLISHED[kind]), variation=variation)


def kept(cell: Entry) -> int:
    """Return how many top latents the experiment keeps: the context, or two where there is none.

    Example:
        >>> [kept(cell) for cell in cifar("cpu")]
        [2, 1, 1, 1]
    """
    return 2 if isinstance(cell.job.recipe.hierarchy.context, NoContextSpec) else 1


def meaning(cell: Entry) -> str:
    """Return what the rate of a cell is, in a word for a table.

    Example:
        >>> [meaning(cell) for cell in cifar("cpu")]
        ['KL', 'bound', 'pmf', 'pmf']
    """
    context = cell.job.recipe.hierarchy.context
    if not isinstance(context, DCTSpec):
        return "KL"
    return "pmf" if isinstance(context.prior, AutoregressiveSpec) else "bound"


def frequencies(cell: Entry) -> tuple[int, int] | None:
    """Return the side of a cell's patches and how many frequencies its context keeps along it.

    Example:
        >>> [frequencies(cell) for cell in cifar("cpu")]
        [None, (32, 6), (32, 6), (32, 6)]
    """
    model = cell.job.recipe.hierarchy
    context = model.context
    return (model.size, context.frequencies) if isinstance(context, DCTSpec) else None


def trained_on(cells: Sequence[Entry]) -> str:
    """Say of which images the models have learnt; a part of a data set is named as a part.

    Example:
        >>> trained_on(cifar("cpu"))
        'the models are trained on cifar10_8k.npz'
    """
    sources = dict.fromkeys(cell.job.recipe.data.source for cell in cells)
    return f"the models are trained on {', '.join(sources)}"


def pictures(workspace: Workspace, limit: int | None = None) -> tuple[Picture, ...]:
    """Return the photographs of a budget, at most ``limit`` of them, from the first.

    Raises:
        ValueError: if the folder is missing, and the budget is not smoke.
    """
    from mrvae.data import Picture, data_folder, gallery

    plan = PLANS[workspace.budget]
    counts = [count for count in (plan.pictures, limit) if count is not None]
    if workspace.budget == "smoke" and not _there(data_folder(workspace.data_dir)):
        return (made_up(plan.crop or 40),)
    found = gallery(_FOLDER, workspace.data_dir, min(counts) if counts else None)
    crop = plan.crop
    return tuple(Picture(each.name, each.pixels[:, :crop, :crop]) for each in found)


def _there(root: Path | None) -> bool:
    return root is not None and (root / _FOLDER).is_dir()


def made_up(side: int) -> Picture:
    """Return a picture of a sky above hills, made of three waves: uint8 (3, side, side).

    Example:
        >>> picture = made_up(8)
        >>> picture.pixels.shape, picture.pixels.min() < picture.pixels.max()
        (torch.Size([3, 8, 8]), tensor(True))
    """
    import torch

    from mrvae.data import Picture

    down = torch.linspace(0, 1, side)[:, None].expand(side, side)
    across = down.T
    hills = 0.5 + 0.1 * torch.sin(2 * math.pi * 3 * across) + 0.2 * (across - 0.5)
    below = (down > hills).float()
    channels = [level - 0.4 * below * shade + 0.2 * down for level, shade in _COLOURS]
    waves = 0.05 * torch.sin(2 * math.pi * 9 * (down + across))
    levels = torch.stack([channel + waves for channel in channels]).clamp(0, 1) * 255
    return Picture("made-up", levels.round().to(torch.uint8))


_COLOURS = ((0.5, 0.9), (0.6, 0.5), (0.75, 1.3))
