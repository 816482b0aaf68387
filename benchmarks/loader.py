"""How many images a second the loader gives by itself, against what a model takes.

    python benchmarks/loader.py --threads 1 --json results/loader.json
    python benchmarks/loader.py --table results/loader.json     # as Markdown

For each shape, random images of the recipe's size are stored as one .npy file and read back from it
in the order of training: the file is mapped into memory, and each batch gathered, cut to the
recipe's bits and, where the recipe says so, binarised. The model's side is the whole update on
images that are at hand. Loader and model take turns in one process, some batches of one and a step
of the other, and seconds are the process's own on the CPU, which other processes disturb less.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from msgspec.structs import replace

import mrvae
from mrvae.data import Images, Stream, images_for
from mrvae.models.build import build
from mrvae.recipes import Recipe, override
from mrvae.training.update import Updater
from pairing import as_markdown, machine, ratios, show, take_turns
from pairing import measured as read

SHAPES = {
    "digits": ("digits-vdvae", ()),
    "MNIST": ("falck2022-mnist-x1", ()),
    "CIFAR-10": ("falck2022-cifar10-x1", ("batch=16",)),
}
BATCHES = 8
HEADINGS = ("shape", "batch", "loader images/s", "model images/s", "ratio", "least", "largest")
WIDTH = 100


def stored(recipe: Recipe, folder: Path, count: int) -> Images:
    """Return training images of a recipe's shape that lie in a file."""
    model, levels = recipe.model, 256 if recipe.data.binary else recipe.model.likelihood.bins
    channels, height, width = model.image
    shape = (count, height, width, channels)
    pixels = np.random.default_rng(0).integers(0, levels, shape, dtype=np.uint8)
    path = folder / f"{recipe.name}.npy"
    np.save(path, pixels[..., 0] if model.channels == 1 else pixels)
    data = replace(recipe.data, source=str(path), fit=False)
    return images_for(replace(recipe, data=data), "train")


def one(shape: str, rounds: int, warmup: int, count: int) -> dict[str, object]:
    """Measure one shape."""
    name, changes = SHAPES[shape]
    recipe = override(mrvae.recipe(name), [*changes, "compile=false", "precision=float32"])
    batch = recipe.training.batch
    with tempfile.TemporaryDirectory() as folder:
        images = stored(recipe, Path(folder), count)
        loader = Stream(images, batch, 0, recipe.data.binary)
        held = images.take(torch.arange(min(len(images), 4 * batch)))
        near = Images(held, "at hand", "train", images.bins)
        model = build(recipe).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        stream = Stream(near, batch, 0, recipe.data.binary)
        updater = Updater(model, recipe.training, stream, Accelerator(cpu=True))

        def load(index: int) -> None:
            for step in range(index * BATCHES, (index + 1) * BATCHES):
                loader.batch(step)

        timings = take_turns([load, updater.update], rounds, warmup, torch.device("cpu"))
    each = [seconds / BATCHES for seconds in timings[0].cpu]
    ratio, least, largest = ratios(timings[1].cpu, each)
    return {
        "shape": shape,
        "recipe": name,
        "batch": batch,
        "stored_images": count,
        "loader_images_per_second": batch / sorted(each)[len(each) // 2],
        "model_images_per_second": batch / sorted(timings[1].cpu)[len(each) // 2],
        "ratio": ratio,
        "least": least,
        "largest": largest,
    }


def rows(results: list[dict[str, object]]) -> list[tuple[str, ...]]:
    """Return the cells of the table."""
    numbers = ("loader_images_per_second", "model_images_per_second", "ratio", "least", "largest")
    return [
        (str(found["shape"]), str(found["batch"]), *(f"{found[name]:,.0f}" for name in numbers))
        for found in results
    ]


def main() -> None:
    """Measure every shape that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--shapes", nargs="+", choices=list(SHAPES), default=list(SHAPES))
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--warmup", type=int, default=2)
    parser.add_argument("--images", type=int, default=20_000, help="stored in the file")
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
    for shape in options.shapes:
        results.append(one(shape, options.rounds, options.warmup, options.images))
        print(*rows(results)[-1], file=sys.stderr, flush=True)
    if options.json is not None:
        value = {"machine": machine("cpu"), "results": results}
        options.json.write_text(json.dumps(value, indent=2) + "\n")
    show("the loader against the model", HEADINGS, rows(results), WIDTH)


if __name__ == "__main__":
    main()
