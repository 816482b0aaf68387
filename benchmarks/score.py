"""Which scores separate unusual images from usual ones: likelihood, typicality, likelihood ratios.

    python benchmarks/score.py --threads 1 --json results/score.json   # needs MNIST and OMNIGLOT
    python benchmarks/score.py --table results/score.json              # as Markdown

Trained models of ``results/runs`` score test images of their own data set and sets of other kinds,
each by -ELBO, by the bound of K draws, by typicality, and by LLR^{>k} for all k.
Typicality has its mean from as many validation images. Every set is compared with the test images:
AUROC, AUPRC and the false positive rate at 80 % true positives, with bootstrap intervals. With
--json, models that were measured before stay in the file.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import mrvae
from mrvae.data import Conversion, Crop, Images, gallery, images_for, load
from mrvae.data.files.patches import CutRows
from mrvae.data.randomness import generator
from mrvae.evaluation import ScoreReport, detect, evaluate
from mrvae.models import HVAE
from mrvae.models.build.weights import read_recipe
from pairing import as_markdown, machine, show
from pairing import measured as read

RUNS = Path(__file__).resolve().parents[1] / "results" / "runs" / "kuzina2023-cpu"
MODELS = ("kuzina2023-mnist-vdvae-seed0", "kuzina2023-mnist-dct-seed0", "cifar10-context-seed0")
HEADINGS = (
    "model",
    "unusual images",
    "images",
    "−ELBO in nats",
    "AUROC of −ELBO",
    "of typicality",
    "of LLR, half of the latents",
    "of LLR, best k",
)
WIDTH = 150

Entry = Mapping[str, object]


def binary_sets(count: int) -> dict[str, Images]:
    """Return sets of binary 28 × 28 images other than MNIST test images as they are."""
    digits = load("mnist", "test").first(count).binarised(0)
    x = digits.tensor()
    noise = torch.rand(x.shape, generator=generator(0, 0))
    return {
        "OMNIGLOT": load("omniglot28.npz", "test").first(count).binarised(0),
        "upside down": _like(digits, x.flip(2)),
        "mirrored": _like(digits, x.flip(3)),
        "small digits, enlarged": _digits(28, count).binarised(0),
        "blank": _like(digits, torch.zeros_like(x)),
        "noise": _like(digits, (noise < 0.5).to(torch.uint8)),
        "noise, as much ink": _like(digits, (noise < x.double().mean()).to(torch.uint8)),
    }


def colour_sets(count: int) -> dict[str, Images]:
    """Return sets of colour images of 32 × 32 pixels, other than CIFAR-10's."""
    like = load("cifar10_8k.npz", "test").first(count)
    squares = CutRows(tuple(picture.pixels for picture in gallery("kodak")), (32, 32), (32, 32))
    every = torch.arange(count) * (squares.shape[0] // count)
    digits = _digits(32, count).tensor()
    coloured = (digits.double() * (255 / 16)).round().to(torch.uint8).repeat(1, 3, 1, 1)
    shape = like.tensor().shape
    return {
        "Kodak squares": _like(like, squares.rows(every)),
        "small digits, enlarged": _like(like, coloured),
        "grey, 128": _like(like, torch.full(shape, 128, dtype=torch.uint8)),
        "noise": _like(
            like, torch.randint(0, 256, shape, generator=generator(0, 0)).to(torch.uint8)
        ),
    }


def _digits(side: int, count: int) -> Images:
    """Return the small digits, enlarged."""
    return load("digits", "test", conversion=Conversion(framing=Crop(side, side))).first(count)


def _like(images: Images, pixels: Tensor) -> Images:
    return Images(pixels.contiguous(), images.name, images.split, images.bins)


def one(name: str, count: int, samples: int, resamples: int) -> list[dict[str, object]]:
    """Score all sets by one model."""
    recipe, model = read_recipe(RUNS / name), mrvae.load(RUNS / name)
    usual = images_for(recipe, "test").first(count)
    held_out = images_for(recipe, "validation").first(count)
    typical = float(evaluate(model, held_out, samples=1).nats.mean())
    report = mrvae.score(model, usual, samples=samples, typical_nats=typical)
    results = [_entry(name, "test images", model, report)]
    for title, images in (binary_sets if recipe.data.binary else colour_sets)(count).items():
        other = mrvae.score(model, images, samples=samples, typical_nats=typical)
        found = detect(_arrays(report), _arrays(other), resamples=resamples)
        rates = {score: asdict(detection) for score, detection in found.items()}
        results.append(_entry(name, title, model, other) | {"detection": rates})
        print(*rows([results[-1]])[0], file=sys.stderr, flush=True)
    return results


def _entry(name: str, title: str, model: HVAE, report: ScoreReport) -> dict[str, object]:
    return {
        "model": name,
        "set": title,
        "latents": len(model.latent_shapes),
        **report.summary(),
    }


def _arrays(report: ScoreReport) -> dict[str, NDArray[np.float64]]:
    return {name: values.numpy() for name, values in report.scores().items()}


def rows(results: list[dict[str, object]]) -> list[tuple[str, ...]]:
    """Return the cells of the table: AUROC with its interval, of a few scores."""
    return [
        (
            _short(found["model"]),
            str(found["set"]),
            str(found["images"]),
            f"{found['nats']:.1f} ± {found['nats_se']:.1f}",
            *_chosen(found),
        )
        for found in results
    ]


def _chosen(found: Entry) -> tuple[str, ...]:
    """Return the AUROC of -ELBO, of typicality, of LLR at k = L/2, and of the best k."""
    if "detection" not in found:
        return ("–",) * 4
    depth = cast("int", found["latents"])
    if not depth:
        return _rate(found, "nats"), _rate(found, "typicality"), "no latents", "no latents"
    best = max(range(1, depth + 1), key=lambda k: _value(found, f"llr_{k}"))
    return (
        _rate(found, "nats"),
        _rate(found, "typicality"),
        f"{_rate(found, f'llr_{depth // 2}')}",
        f"{_value(found, f'llr_{best}'):.3f}, k = {best}",
    )


def every_k(results: list[dict[str, object]]) -> list[tuple[str, ...]]:
    """Return the AUROC of LLR^{>k} for every k, the head first."""
    deep = [found for found in results if "detection" in found and found["latents"]]
    most = max(cast("int", found["latents"]) for found in deep)
    head = ("model", "unusual images", *(f"k = {k}" for k in range(1, most + 1)))
    return [head, *(_line(found, most) for found in deep)]


def _line(found: Entry, most: int) -> tuple[str, ...]:
    depth = cast("int", found["latents"])
    values = [f"{_value(found, f'llr_{k}'):.3f}" for k in range(1, depth + 1)]
    return (_short(found["model"]), str(found["set"]), *values, *["–"] * (most - depth))


def other_rates(results: list[dict[str, object]]) -> list[tuple[str, ...]]:
    """Return AUPRC and FPR80 of -ELBO and of LLR at k = L/2, the head first."""
    scores = ("−ELBO", "LLR, half")
    head = ("model", "unusual images", *(f"AUPRC, {s}" for s in scores))
    head = (*head, *(f"FPR80, {s}" for s in scores))
    lines = []
    for found in results:
        if "detection" not in found or not found["latents"]:
            continue
        half = f"llr_{cast('int', found['latents']) // 2}"
        cells = [
            _rate(found, score, rate) for rate in ("auprc", "fpr80") for score in ("nats", half)
        ]
        lines.append((_short(found["model"]), str(found["set"]), *cells))
    return [head, *lines]


TABLES = {"every_k": every_k, "other_rates": other_rates}


def _interval(found: Entry, score: str, rate: str) -> Mapping[str, float]:
    detection = cast("Mapping[str, Mapping[str, Mapping[str, float]]]", found["detection"])
    return detection[score][rate]


def _value(found: Entry, score: str) -> float:
    return _interval(found, score, "auroc")["value"]


def _rate(found: Entry, score: str, rate: str = "auroc") -> str:
    interval = _interval(found, score, rate)
    return f"{interval['value']:.3f} ({interval['low']:.3f}–{interval['high']:.3f})"


def _short(model: object) -> str:
    return str(model).removeprefix("kuzina2023-").removesuffix("-seed0")


def main() -> None:
    """Score all sets by every model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--models", nargs="+", default=list(MODELS), help="runs of results/runs")
    parser.add_argument("--images", type=int, default=256, help="of every set, from the first")
    parser.add_argument("--samples", type=int, default=8, help="K of every bound")
    parser.add_argument("--resamples", type=int, default=1000, help="of the bootstrap")
    parser.add_argument("--threads", type=int, help="threads of torch; by default its own choice")
    parser.add_argument("--json", type=Path, help="file to write the measurements into")
    parser.add_argument("--table", type=Path, help="print a file's table as Markdown")
    options = parser.parse_args()
    if options.table is not None:
        print(as_markdown(HEADINGS, rows(read(options.table))))
        return
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    results = []
    for name in options.models:
        latest = one(name, options.images, options.samples, options.resamples)
        results += latest
        if options.json is not None:
            earlier = read(options.json) if options.json.exists() else []
            kept = [found for found in earlier if found["model"] != name]
            value = {"machine": machine("cpu"), "results": [*kept, *latest]}
            options.json.write_text(json.dumps(value, indent=1) + "\n")
    show("scores of unusual images", HEADINGS, rows(results), WIDTH)


if __name__ == "__main__":
    main()
