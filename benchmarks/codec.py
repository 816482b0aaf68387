"""What the codec comes to: bits against the bound, and how fast it is.

    python benchmarks/codec.py --json results/codec.json
    python benchmarks/codec.py --run RUN --images 64 --modes bitsback --json results/codec.json

The first test images of a model, by default all 397 of the shipped one, are coded as one chunk in
each way. Times are the process's own CPU seconds, and those of a part exclude the parts inside it:
*network* is the encoder, the top-down walk, the head, and the search for latents; *tables* makes
integers of their output and adds up the bits; *coder* is the entropy coder with its callers. The
remainder is the rest. A raw pixel is a byte.

The bits of an image are split for the bound and for the direct code: of each latent, the coded
units and the others, and the pixels. The progressive way gives the bytes of each layer of the first
64 images, and the error after it: the mean squared error in bins, and the mean PSNR of the images.
The file of all images, as PNG named 000, 001, …, and that of the first are told with their headers.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

from mrvae.compression import (
    ROUNDS,
    Codec,
    CodingModel,
    CodingNetwork,
    Pictures,
    ProgressiveLayers,
    Stack,
    codec_for,
    open_model,
    pack,
    search,
    training_images,
)
from mrvae.compression import codec as coding
from mrvae.compression.calibration import bits_per_unit
from mrvae.compression.chunks import decode_chunk, encode_chunk
from mrvae.compression.coding.latents import CodedUnits
from mrvae.compression.coding.symbols import (
    RoundedCentredGaussian,
    RoundedGaussian,
    SymbolTable,
)
from mrvae.compression.format.container import framed_size
from mrvae.compression.progressive import decode_layers, encode_layers
from mrvae.data import images_for
from mrvae.data.files.image_files import from_tensor
from mrvae.models.build.weights import read_recipe
from mrvae.models.heads.pixels import Head, SpatialHead
from pairing import machine
from pairing import measured as read

MODEL = "digits-vdvae"
MODES = ("nearest", "direct", "bitsback", "layers", "file")
_TOGETHER = 64
SYMBOL_MODELS = (SymbolTable, RoundedGaussian, RoundedCentredGaussian)
PARTS: dict[str, list[tuple[object, str]]] = {
    "network": [
        *((CodingNetwork, name) for name in ("trace", "features", "context", "log_likelihood")),
        *((head, "forward") for head in (Head, SpatialHead)),
        (coding, "search"),
    ],
    "tables": [
        (CodingNetwork, "_table"),
        *((CodedUnits, name) for name in ("prior", "posterior", "integers", "place")),
        *((model, name) for model in SYMBOL_MODELS for name in ("bits", "family")),
    ],
    "coder": [(Stack, "push"), (Stack, "pop")],
}


class Clock:
    """CPU seconds by part, each without what is inside it."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._inside = ["rest"]
        self._since = time.process_time()

    def turn(self) -> None:
        """Book the time since the last turn."""
        now = time.process_time()
        self.seconds[self._inside[-1]] += now - self._since
        self._since = now

    def timed(self, part: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function whose time is a part's."""

        def inside(*arguments: Any) -> Any:  # noqa: ANN401
            self.turn()
            self._inside.append(part)
            try:
                return call(*arguments)
            finally:
                self.turn()
                self._inside.pop()

        return inside


@contextmanager
def measured() -> Iterator[Clock]:
    """Measure the parts of what is done inside."""
    clock, patches = Clock(), []
    for part, places in PARTS.items():
        for owner, name in places:
            patches.append(patch.object(owner, name, clock.timed(part, getattr(owner, name))))
    for each in patches:
        each.start()
    try:
        yield clock
    finally:
        clock.turn()
        for each in patches:
            each.stop()


def bound(network: CodingNetwork, x: Tensor, draws: int) -> Tensor:
    """Return -ELBO in bits of each image, the mean of a few draws, (N,)."""
    stream, total = torch.Generator().manual_seed(0), torch.zeros(len(x), dtype=torch.float64)
    with torch.no_grad():
        for _ in range(draws):
            noise = network.model.noise(len(x), stream)
            parts = zip(torch.split(x, _TOGETHER), torch.split(noise, _TOGETHER), strict=True)
            total -= torch.cat([network.model.elbo(*part).value for part in parts])
    return total / draws / math.log(2)


def one(codec: Codec, x: Tensor, bits_back: bool, expected: Tensor) -> dict[str, object]:
    """Code all images in one way, and decode them."""
    most, dims = codec.network.batch(), x[0].numel()
    with measured() as there:
        written = encode_chunk(codec, x, 0, most, bits_back)
    with measured() as back:
        exact = torch.equal(decode_chunk(codec, written.payload, len(x), 0, most), x)
    bits = 8 * len(written.payload)
    rest, count = bits - written.seed, len(x) - written.seeds
    mean, mean_of_rest = float(expected.mean()), float(expected[written.seeds :].mean())
    return {
        "mode": "bitsback" if bits_back else "direct",
        "search_rounds": codec.rounds,
        "exact": exact,
        "bits_per_image": bits / len(x),
        "bits_per_dim": bits / len(x) / dims,
        "gap_percent": 100 * (bits / len(x) / mean - 1),
        "net_bits_per_image": rest / count,
        "net_bits_per_dim": rest / count / dims,
        "net_gap_percent": 100 * (rest / count / mean_of_rest - 1),
        "ideal_bits_per_image": written.ideal / len(x),
        "seed_images": written.seeds,
        "seed_bits": written.seed,
        "encode": speed(there, x),
        "decode": speed(back, x),
    }


def speed(clock: Clock, x: Tensor) -> dict[str, object]:
    """Return seconds, what is done in one of them, and the share of each part."""
    total = sum(clock.seconds.values())
    shares = {part: 100 * clock.seconds[part] / total for part in (*PARTS, "rest")}
    rates = {"images_per_second": len(x) / total, "mb_per_second": x.numel() / total / 1e6}
    return {"cpu_seconds": total, **rates, "percent": shares}


def borrowed(codec: Codec, x: Tensor) -> float:
    """Return the bits that one image's latents borrow when they are drawn from the posterior."""
    stack, enough = Stack(), 16 * 16 * sum(int(units.active.sum()) for units in codec.bits_back)
    while stack.bits < enough:
        codec.push_direct(stack, x)
    before = stack.ideal
    with patch.object(CodingNetwork, "push_pixels"), patch("mrvae.compression.codec.push_by_prior"):
        codec.push_bits_back(stack, x[:16], 0)
    return (before - stack.ideal) / 16


def split(codec: Codec, x: Tensor, expected: float) -> dict[str, object]:
    """Return where the bits of an image are, in the bound and by the direct code.

    Of the bound, KL of the units that the direct code codes, KL of the others, and what is left for
    the pixels; of the direct code, latents and pixels, without the ends of its message. Each sum of
    latents is told for each of them too.
    """
    kl = bits_per_unit(codec.network, x)
    coded = [float(bits[u.active].sum()) for bits, u in zip(kl, codec.direct, strict=True)]
    other = [float(bits.sum()) - own for bits, own in zip(kl, coded, strict=True)]
    latents, whole = [], Stack()
    found = search(codec.network, codec.direct, x, codec.rounds)
    for units, k in zip(codec.direct, found, strict=True):
        latents.append(units.prior(len(x)).bits(k) / len(x))
    with patch.object(coding, "search", return_value=found):
        codec.push_direct(whole, x)
    return {
        "bound_coded_units": sum(coded),
        "bound_other_units": sum(other),
        "bound_pixels": expected - sum(coded) - sum(other),
        "direct_latents": sum(latents),
        "direct_pixels": whole.ideal / len(x) - sum(latents),
        "each_latent": [
            {"coded": int(u.active.sum()), "bound_coded": a, "bound_other": b, "direct": c}
            for u, a, b, c in zip(codec.direct, coded, other, latents, strict=True)
        ],
    }


def layered(codec: Codec, x: Tensor) -> list[dict[str, object]]:
    """Return bytes, error and PSNR (none if exact) after each layer of some images."""
    layers, most = ProgressiveLayers(codec, lossless=True), codec.network.batch()
    payloads = [message.payload for message in encode_layers(layers, x, most)]
    rows: list[dict[str, object]] = []
    largest = codec.network.model.frame.bins - 1
    for count, name in enumerate(layers.names, 1):
        found = decode_layers(layers, payloads[:count], len(x), most)
        error = (found.double() - x).square().mean(dim=(1, 2, 3))
        psnr = None if torch.equal(found, x) else (10 * (largest**2 / error).log10()).mean().item()
        row = {"layer": name, "bytes": framed_size(payloads[count - 1])}
        rows.append({**row, "mse": error.mean().item(), "psnr": psnr})
    return rows


def file_of(model: CodingModel, x: Tensor, seen: Tensor | None) -> dict[str, int]:
    """Return the bytes of the file of some images, and those of its payloads."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, f"{index:03}.png") for index in range(len(x))]
        for path, image in zip(paths, x, strict=True):
            from_tensor(image).save(path)
        pictures = Pictures(tuple(paths), model.network)
        packed = pack(model, pictures, Path(folder, "all.mrv"), calibration=seen)
    return {"images": len(x), "bytes": packed.size, "payload_bytes": packed.payload_bits // 8}


def measure(run: str, images: int, modes: Sequence[str], draws: int) -> dict[str, object]:
    """Return what one model comes to."""
    known = open_model(run)
    network, recipe = known.network, read_recipe(known.run)
    test = images_for(recipe, "test")
    x = test.take(torch.arange(min(images, len(test))))
    seen = training_images(recipe, None)
    codec = codec_for(network, x if seen is None else seen)
    searching = replace(codec, rounds=ROUNDS)
    expected = bound(network, x, draws)
    found: dict[str, object] = {
        "model": known.run.name,
        "images": len(x),
        "bound_bits_per_image": float(expected.mean()),
        "bound_bits_per_dim": float(expected.mean()) / x[0].numel(),
        "bound_draws": draws,
        "direct_units": sum(int(each.active.sum()) for each in codec.direct),
        "bits_back_units": sum(int(each.active.sum()) for each in codec.bits_back),
        "units": network.noise_size,
    }
    rows = []
    if "nearest" in modes:
        rows.append(one(codec, x, False, expected))
    if "direct" in modes:
        rows.append(one(searching, x, False, expected))
        found["split_bits_per_image"] = split(searching, x, float(expected.mean()))
    if "bitsback" in modes:
        rows.append(one(codec, x, True, expected))
        found["borrowed_bits_per_image"] = borrowed(codec, x)
    if "layers" in modes:
        found["layers_of_64"] = layered(codec, x[:64])
    if "file" in modes:
        found["files"] = [file_of(known, images, seen) for images in (x, x[:1])]
    return {**found, "modes": rows} if rows else found


HEADINGS = (
    "model", "images", "−ELBO, bits/dim", "mode", "bits/dim", "above −ELBO", "net bits/dim",
    "net above −ELBO", "seed images", "exact", "encode, decode: images/s", "MB/s",
    "network, tables, coder when encoding",
)  # fmt: skip


def rows(results: list[dict[str, Any]]) -> Iterator[tuple[str, ...]]:
    """Yield one line of the table for each mode of each model."""
    for found in results:
        model = (found["model"], str(found["images"]), f"{found['bound_bits_per_dim']:.4f}")
        for row in found["modes"]:
            searched = f", {row['search_rounds']} rounds" if row["search_rounds"] else ""
            ways = [row["encode"], row["decode"]]
            share = row["encode"]["percent"]
            yield (
                *(*model, row["mode"] + searched),
                *(f"{row['bits_per_dim']:.4f}", f"{row['gap_percent']:.2f} %"),
                *(f"{row['net_bits_per_dim']:.4f}", f"{row['net_gap_percent']:.2f} %"),
                *(str(row["seed_images"]), "yes" if row["exact"] else "no"),
                ", ".join(f"{way['images_per_second']:.1f}" for way in ways),
                ", ".join(f"{way['mb_per_second']:.4f}" for way in ways),
                ", ".join(f"{share[part]:.1f} %" for part in ("network", "tables", "coder")),
            )


def split_rows(results: list[dict[str, Any]]) -> Iterator[tuple[str, ...]]:
    """Yield the table of the bits of an image of the first model, of the bound and of the code."""
    (found, *_) = results
    parts = found["split_bits_per_image"]
    coded = [(n, each) for n, each in enumerate(parts["each_latent"], 1) if each["coded"]]
    yield ("bits a digit", "bound", "direct")
    yield (
        f"the {found['direct_units']} units that are coded",
        f"{parts['bound_coded_units']:.1f}",
        f"{parts['direct_latents']:.1f}",
    )
    for latent, each in coded:
        name = f"… {each['coded']} of latent {latent}"
        yield (name, f"{each['bound_coded']:.1f}", f"{each['direct']:.1f}")
    others = found["units"] - found["direct_units"]
    yield (f"the {others} others", f"{parts['bound_other_units']:.1f}", "0")
    yield ("pixels", f"{parts['bound_pixels']:.1f}", f"{parts['direct_pixels']:.1f}")


def layer_rows(results: list[dict[str, Any]]) -> Iterator[tuple[str, ...]]:
    """Yield the table of the layers of the first model."""
    (found, *_) = results
    pixels, total = _TOGETHER * dims_of(found), 0
    yield ("after", "bytes of the layer", "bytes so far", "bits a pixel", "squared error", "PSNR")
    for layer in found["layers_of_64"]:
        total += layer["bytes"]
        exact = layer["psnr"] is None
        error = "0" if exact else f"{layer['mse']:.2f}"
        psnr = "exact" if exact else f"{layer['psnr']:.2f} dB"
        bits = f"{8 * total / pixels:.3f}"
        yield (layer["layer"], f"{layer['bytes']:,}", f"{total:,}", bits, error, psnr)


def dims_of(found: dict[str, Any]) -> int:
    """Return the number of values of one image of a measurement."""
    bits, per_dim = found["bound_bits_per_image"], found["bound_bits_per_dim"]
    return round(float(bits) / float(per_dim))


TABLES = {"split": split_rows, "layers": layer_rows}


def numbers(results: list[dict[str, Any]]) -> dict[str, str]:
    """Return the numbers of the first model that stand in sentences, by name."""
    (found, *_) = results
    whole, single = found.get("files", [{"bytes": 0, "payload_bytes": 0}] * 2)
    layers = sum(layer["bytes"] for layer in found["layers_of_64"])
    nearest = next(r for r in found["modes"] if r["mode"] == "direct" and not r["search_rounds"])
    return {
        "file": f"{whole['bytes']:,}",
        "file-images": f"{whole['payload_bytes']:,}",
        "file-rest": f"{whole['bytes'] - whole['payload_bytes']:,}",
        "single": f"{single['bytes']:,}",
        "single-image": f"{single['payload_bytes']:,}",
        "layers-bits": f"{8 * layers / _TOGETHER:.1f}",
        "nearest-bits": f"{nearest['bits_per_image']:.1f}",
    }


def written(path: Path, found: dict[str, object]) -> str:
    """Return the file's text with this measurement in the place of an older one of its model.

    What was not measured this time stays.
    """
    older = read(path) if path.exists() else []
    names = [row["model"] for row in older]
    if found["model"] in names:
        rows = [{**row, **found} if row["model"] == found["model"] else row for row in older]
    else:
        rows = [*older, found]
    return json.dumps({"machine": machine("cpu"), "results": rows}, indent=2) + "\n"


def tell(found: dict[str, Any]) -> None:
    """Print a line of bits and two of speed for each mode."""
    bound_of_all = found["bound_bits_per_image"]
    print(f"{found['model']}: {found['images']} images, -ELBO {bound_of_all:.2f} bits an image")
    for file in found.get("files", []):
        print(f"file of {file['images']} images: {file['bytes']} bytes")
    for row in found.get("modes", []):
        print(
            f"{row['mode']}, {row['search_rounds']} rounds: {row['bits_per_image']:.2f} bits an "
            f"image, {row['gap_percent']:+.2f} %; {'exact' if row['exact'] else 'NOT EXACT'}"
        )
        for way in ("encode", "decode"):
            shares = ", ".join(f"{part} {v:.1f} %" for part, v in row[way]["percent"].items())
            print(
                f"  {way} {row[way]['mb_per_second']:.4f} MB/s, "
                f"{row[way]['images_per_second']:.1f} images/s: {shares}"
            )


def main() -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", default=MODEL, help="a run directory, or a model that ships")
    parser.add_argument("--images", type=int, default=397)
    parser.add_argument("--modes", nargs="+", choices=MODES, default=MODES)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--draws", type=int, default=16, help="draws of the bound")
    parser.add_argument("--json", type=Path, help="file whose row of this model is written")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    found = measure(arguments.run, arguments.images, arguments.modes, arguments.draws)
    tell(found)
    if arguments.json is not None:
        arguments.json.write_text(written(arguments.json, found), encoding="utf-8")


if __name__ == "__main__":
    main()
