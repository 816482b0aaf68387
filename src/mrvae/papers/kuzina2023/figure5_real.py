"""Figure 5 as files: real bytes on Kodak and CIFAR-10, by contexts, by a whole model, by codecs.

The paper's rates are theoretical, and so are those of ``figure5``. Here every rate is the length of
a file that was read back. Three questions are asked:

1. **What is a learnt prior of a context worth?** Each photograph becomes a file of its context
   only, 7 × 7 frequencies of luminance and 4 × 4 of chrominance of patches of 32 × 32. The prior
   and the scale S are learnt from one half of the photographs, the files are those of the other
   half, and the other way round. JPEG, WebP and AVIF are set to the same PSNR, photograph by
   photograph.
2. **Does a prior of small images do?** The same with a prior of CIFAR-10.
3. **What does a model lose to codecs where nothing may be lost?** A hierarchy trained on CIFAR-10,
   below a context of 6 × 6 frequencies, codes photographs and test images of CIFAR-10, beside PNG,
   WebP and JPEG-XL. The images of CIFAR-10 share one file of the model; the codecs write a file
   for each.

Seconds of training stand beside ours; the codecs need none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

from mrvae.compression import CodingModel, open_model, training_images
from mrvae.data import Picture, gallery
from mrvae.data.files.patches import of_split
from mrvae.evaluation import LOSSLESS, LOSSY, ImageCodec, available
from mrvae.papers.bounds import curve
from mrvae.papers.engine import Item
from mrvae.papers.entries import Entry, chosen
from mrvae.papers.kuzina2023.cifar import cifar, made_up
from mrvae.papers.kuzina2023.files import (
    Coded,
    by_codec,
    by_context,
    row,
    stored,
    without_loss,
)
from mrvae.papers.outcome import Budget, Outcome, Row, number
from mrvae.papers.workspace import Job, Measures, Workspace
from mrvae.recipes import override, recipe
from mrvae.recipes.cut import Patches

FOLDS = ("kodak-fold0", "kodak-fold1")
SMALL = "cifar10-context"
WHOLE = "dct-ycbcr"
_SMOKE = (
    *("training.steps=2", "training.validate_every=1", "training.batch=8", "training.warmup=1"),
    *("model.context.prior.hidden=8", "model.context.prior.components=1"),
)


# Photographs that are coded without loss, from the first, and test images of CIFAR-10.
WITHOUT_LOSS: dict[Budget, tuple[int, int]] = {
    "smoke": (1, 2),
    "cpu": (2, 200),
    "paper": (24, 1_000),
}


def entries(budget: Budget) -> list[Entry]:
    """Return the two priors of photographs, that of CIFAR-10, and the model that loses nothing.

    Example:
        >>> [entry.name for entry in entries("cpu")]
        ['kodak-fold0', 'kodak-fold1', 'cifar10-context', 'dct-ycbcr']
    """
    changes = _SMOKE if budget == "smoke" else ()
    whole = next(entry for entry in cifar(budget) if entry.name == WHOLE)
    source = whole.job.recipe.data.source
    context = override(recipe("kodak-context"), changes)
    folds = [
        Entry(name, Job(override(context, [f"data.cut.fold={i}"]), variation=f"fold{i}"))
        for i, name in enumerate(FOLDS)
    ]
    small = override(recipe(SMALL), [*changes, f"data={source}"])
    return [*folds, Entry(SMALL, Job(small)), whole]


def make(workspace: Workspace, entries: Sequence[Entry]) -> Outcome:
    """Train what is asked for, write all files, and read them back."""
    asked = {entry.name: _at(workspace, entry).job for entry in chosen(entries, workspace.only)}
    for job in asked.values():
        workspace.trained(job)
    rows: list[Row] = []
    folds = [asked[name] for name in FOLDS if name in asked]
    if folds:
        rows += _folds(workspace, folds)
    if SMALL in asked:
        rows += _small(workspace, asked[SMALL])
    if WHOLE in asked:
        rows += _lossless(workspace, asked[WHOLE])
    return Outcome(rows, findings(rows))


def _folds(workspace: Workspace, jobs: Sequence[Job]) -> list[Row]:
    """Code photographs by the prior of the other half, and by codecs at the same PSNR."""
    coded = {
        job: _contexts(workspace, job, of_split(photographs(workspace), "test", _cut(job)))
        for job in jobs
    }
    method = f"context, {len(jobs)} of {len(FOLDS)} folds"
    ours = [each for found in coded.values() for each in found.values()]
    rows = [row("kodak", method, ours, sum(seconds(workspace, job) for job in jobs))]
    shown = {each.name: each for each in photographs(workspace)}
    for codec in (each for each in LOSSY if available(each)):
        theirs = [
            _matched(workspace, job, codec, shown[name], mine)
            for job, found in coded.items()
            for name, mine in found.items()
        ]
        rows.append(row("kodak", codec.name, theirs))
    return rows


def _cut(job: Job) -> Patches:
    return cast("Patches", job.recipe.data.cut)


def _matched(
    workspace: Workspace, job: Job, codec: ImageCodec, picture: Picture, mine: Coded
) -> Coded:
    """Return a codec's file at the PSNR that a photograph has by its context."""
    name = f"{picture.name}-{codec.name.replace(' ', '-').replace(':', '')}"
    return _measured(workspace, job, name, partial(by_codec, codec, picture, mine.psnr))


def _small(workspace: Workspace, job: Job) -> list[Row]:
    """Code the photographs by a prior of small images."""
    coded = list(_contexts(workspace, job, photographs(workspace)).values())
    return [row("kodak", "context, prior of CIFAR-10", coded, seconds(workspace, job))]


def _contexts(workspace: Workspace, job: Job, pictures: Sequence[Picture]) -> dict[str, Coded]:
    """Write the contexts of pictures into a file each, which stay in the workspace's folder."""
    known, folder = _open(workspace, job), _folder(workspace, job)
    found = {}
    with TemporaryDirectory() as temporary:
        for picture, path in zip(pictures, stored(pictures, Path(temporary)), strict=True):
            out = folder / f"{picture.name}.mrv"
            make = partial(by_context, known, picture, path, out)
            found[picture.name] = _measured(workspace, job, out.stem, make)
    return found


def _measured(workspace: Workspace, job: Job, name: str, make: Callable[[], Coded]) -> Coded:
    """Return the measures of a file by these weights, recalled or written now."""

    def written() -> Measures:
        workspace.log(f"{job.name} on {name}")
        return asdict(make())

    return Coded(**cast("dict[str, Any]", workspace.kept(f"file-{name}", job, written)))


def _lossless(workspace: Workspace, job: Job) -> list[Row]:
    """Code photographs, and test images of CIFAR-10, without loss by a model and by codecs."""
    whole, count = WITHOUT_LOSS[workspace.budget]
    images = _tests(workspace, job, count)
    photos = photographs(workspace)[:whole]
    rows: list[Row] = []
    for name, pictures, together in (("kodak", photos, 1), ("cifar10", images, len(images))):
        ours = _whole(workspace, job, pictures, together)
        rows += [
            row(name, "CIFAR-10 model", ours, seconds(workspace, job)),
            *_codecs(name, pictures),
        ]
    return rows


def _whole(
    workspace: Workspace, job: Job, pictures: Sequence[Picture], together: int
) -> list[Coded]:
    """Write pictures without loss, so many to a file."""
    known, folder = _open(workspace, job), _folder(workspace, job)
    seen = training_images(job.recipe, workspace.data_dir)
    coded = []
    with TemporaryDirectory() as temporary:
        paths = stored(pictures, Path(temporary))
        for start in range(0, len(pictures), together):
            part = slice(start, start + together)
            out = folder / f"{pictures[start].name}-{together}-without-loss.mrv"
            make = partial(without_loss, known, pictures[part], paths[part], out, seen)
            coded.append(_measured(workspace, job, out.stem, make))
    return coded


def _codecs(name: str, pictures: Sequence[Picture]) -> list[Row]:
    """Return the rows of the codecs that lose nothing, as far as they are here."""
    return [
        row(name, codec.name, [by_codec(codec, each) for each in pictures])
        for codec in LOSSLESS
        if available(codec)
    ]


def _tests(workspace: Workspace, job: Job, limit: int) -> tuple[Picture, ...]:
    """Return the first test images of a job as pictures."""
    images = workspace.images(job, limit)
    every = images.tensor()
    return tuple(Picture(f"test{i:04}", each) for i, each in enumerate(every))


def photographs(workspace: Workspace) -> tuple[Picture, ...]:
    """Return the photographs; at smoke, four made by code."""
    return gallery(_source(workspace), workspace.data_dir)


def _source(workspace: Workspace) -> str:
    """Return the folder of the photographs, which at smoke is made."""
    if workspace.budget != "smoke":
        return "kodak"
    folder = workspace.folder / "photographs"
    if not folder.is_dir():
        sky = made_up(64).pixels
        turned = (sky, sky.flip(1), sky.flip(2), sky.flip(1, 2))
        stored([Picture(f"sky{i}", each) for i, each in enumerate(turned)], folder)
    return str(folder)


def _at(workspace: Workspace, entry: Entry) -> Entry:
    """Return an entry whose photographs are those of the workspace."""
    job = entry.job
    if not isinstance(job.recipe.data.cut, Patches):
        return entry
    changed = override(job.recipe, [f"data={_source(workspace)}"])
    return replace(entry, job=replace(job, recipe=changed))


def _open(workspace: Workspace, job: Job) -> CodingModel:
    return open_model(workspace.path(job))


def _folder(workspace: Workspace, job: Job) -> Path:
    folder = workspace.folder / "files" / job.name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def seconds(workspace: Workspace, job: Job) -> float:
    """Return the seconds of training of a finished job."""
    course = curve(workspace.path(job))
    return course[-1].seconds if course else 0.0


def findings(rows: Sequence[Row]) -> list[str]:
    """Return how many bytes the codecs need beside ours, of the same pictures and the same kind.

    Example:
        >>> dct = {"pictures": "kodak", "method": "context", "lossless": False,
        ...        "bpp": 0.1, "psnr": 24.0, "training_seconds": 60.0}
        >>> jpeg = {**dct, "method": "JPEG", "bpp": 0.2, "training_seconds": None}
        >>> findings([dct, jpeg])
        ['kodak: context 0.100 bpp at 24.00 dB, JPEG 0.200 bpp at 24.00 dB: 2.00 times']
    """
    sentences = []
    for mine in (each for each in rows if each["training_seconds"] is not None):
        for other in rows:
            same = all(mine[name] == other[name] for name in ("pictures", "lossless"))
            if same and other["training_seconds"] is None:
                times = number(other, "bpp") / number(mine, "bpp")
                both = ", ".join(f"{each['method']} {_rate(each)}" for each in (mine, other))
                sentences.append(f"{mine['pictures']}: {both}: {times:.2f} times")
    return sentences


def _rate(row: Row) -> str:
    """Return bits per pixel, and PSNR where something is lost."""
    return f"{row['bpp']:.3f} bpp" + ("" if row["lossless"] else f" at {row['psnr']:.2f} dB")


ITEM = Item("figure5-real", make, entries)
