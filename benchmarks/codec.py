"""What the codec comes to on the digits: bits against the bound, and where the time goes.

    python benchmarks/codec.py --threads 1 --json codec.json

Both ways of coding are measured on all 397 test images of the shipped model, as one chunk. Times
are the process's own CPU seconds, and each part's are without those of the parts inside it:
*network* is the encoder, the walk and the head; *tables* what makes integers of their output, and
adds up the bits; *coder* the entropy coder with what calls it. What remains is the rest.

Where the bits of an image are is told for the bound and for the direct code: units that are coded,
the others, and pixels. Of the progressive way, the bytes of each layer of the first 64 images, and
what is known of a picture after it: the mean squared error in levels of 0 … 16, and the mean of the
images' PSNR.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

import mrvae
from mrvae.compression import Codec, Network, Rounded, Stack, Standard, Table, training_images
from mrvae.compression.chunks import read_chunk, write_chunk
from mrvae.compression.container import framed_size
from mrvae.compression.latents import Units
from mrvae.compression.layers import Layers, read_layers, write_layers
from mrvae.compression.packing import codec_for
from mrvae.compression.units import bits_per_unit
from mrvae.data import load
from mrvae.models.likelihood import Head

MODEL = "digits-vdvae"
PARTS: dict[str, list[tuple[type, str]]] = {
    "network": [(Network, "walk"), (Network, "features"), (Head, "forward")],
    "tables": [
        (Network, "_table"),
        *((Units, name) for name in ("prior", "posterior", "numbers", "place")),
        *((law, name) for law in (Table, Rounded, Standard) for name in ("bits", "model")),
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


def bound(network: Network, x: Tensor, draws: int) -> Tensor:
    """Return -ELBO in bits of each image, the mean of a few draws, (N,)."""
    stream = torch.Generator().manual_seed(0)
    with torch.no_grad():
        values = [
            network.model.elbo(x, network.model.noise(len(x), stream)).value for _ in range(draws)
        ]
    return -torch.stack(values).mean(0) / math.log(2)


def one(codec: Codec, x: Tensor, chained: bool, expected: Tensor) -> dict[str, object]:
    """Code all images in one way, and decode them."""
    most, pixels = codec.network.batch(), x[0, 0].numel()
    with measured() as there:
        written = write_chunk(codec, x, 0, most, chained)
    with measured() as back:
        exact = torch.equal(read_chunk(codec, written.payload, len(x), 0, most), x)
    bits = 8 * len(written.payload)
    rest, count = bits - written.seed, len(x) - written.seeds
    mean, mean_of_rest = float(expected.mean()), float(expected[written.seeds :].mean())
    return {
        "mode": "bitsback" if chained else "direct",
        "exact": exact,
        "bits_per_image": bits / len(x),
        "bpp": bits / len(x) / pixels,
        "gap_percent": 100 * (bits / len(x) / mean - 1),
        "net_bits_per_image": rest / count,
        "net_gap_percent": 100 * (rest / count / mean_of_rest - 1),
        "ideal_bits_per_image": written.ideal / len(x),
        "seed_images": written.seeds,
        "seed_bits": written.seed,
        "encode_seconds": dict(there.seconds),
        "decode_seconds": dict(back.seconds),
    }


def borrowed(codec: Codec, x: Tensor) -> float:
    """Return the bits that one image's latents borrow when they are drawn from the posterior."""
    stack = Stack()
    codec.push_direct(stack, x)
    before = stack.ideal
    with patch.object(Network, "push_pixels"), patch("mrvae.compression.codec.push_by_prior"):
        codec.push_chained(stack, x[:16], 0)
    return (before - stack.ideal) / 16


def split(codec: Codec, x: Tensor, expected: float) -> dict[str, float]:
    """Return where the bits of an image are, in the bound and by the direct code.

    Of the bound, KL of the units that the direct code codes, KL of the others, and what is left for
    the pixels; of the direct code, latents and pixels, without the ends of its message.
    """
    kl = bits_per_unit(codec.network, x)
    coded = sum(float(bits[each.active].sum()) for bits, each in zip(kl, codec.direct, strict=True))
    total, stack = sum(float(bits.sum()) for bits in kl), Stack()
    with patch.object(Network, "push_pixels"):
        codec.push_direct(stack, x)
    latents, whole = stack.ideal / len(x), Stack()
    codec.push_direct(whole, x)
    return {
        "bound_coded_units": coded,
        "bound_other_units": total - coded,
        "bound_pixels": expected - total,
        "direct_latents": latents,
        "direct_pixels": whole.ideal / len(x) - latents,
    }


def layered(codec: Codec, x: Tensor) -> list[dict[str, object]]:
    """Return bytes, error and PSNR (none if exact) after each layer of some images."""
    layers, most = Layers(codec, lossless=True), codec.network.batch()
    payloads = [message.payload for message in write_layers(layers, x, most)]
    rows: list[dict[str, object]] = []
    largest = codec.network.model.frame.levels - 1
    for count, name in enumerate(layers.names, 1):
        found = read_layers(layers, payloads[:count], len(x), most)
        error = (found.double() - x).square().mean(dim=(1, 2, 3))
        psnr = None if torch.equal(found, x) else (10 * (largest**2 / error).log10()).mean().item()
        row = {"layer": name, "bytes": framed_size(payloads[count - 1])}
        rows.append({**row, "mse": error.mean().item(), "psnr": psnr})
    return rows


def main() -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--draws", type=int, default=16, help="draws of the bound")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    network = Network.of(mrvae.load(MODEL))
    seen = training_images(mrvae.recipe(MODEL), None)
    x = load("digits", "test").take(torch.arange(397))
    codec = codec_for(network, x if seen is None else seen)
    expected = bound(network, x, arguments.draws)
    found = {
        "model": MODEL,
        "images": len(x),
        "bound_bits_per_image": float(expected.mean()),
        "direct_units": sum(int(each.active.sum()) for each in codec.direct),
        "chained_units": sum(int(each.active.sum()) for each in codec.chained),
        "units": network.noise_size,
        "borrowed_bits_per_image": borrowed(codec, x),
        "split_bits_per_image": split(codec, x, float(expected.mean())),
        "modes": [one(codec, x, chained, expected) for chained in (False, True)],
        "layers_of_64": layered(codec, x[:64]),
    }
    text = json.dumps(found, indent=2)
    print(text)
    if arguments.json is not None:
        arguments.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
