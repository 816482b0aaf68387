"""Code images here and decode them elsewhere, again and again, and count what is exact.

    PYTHONPATH=src:tests python tests/compression/trials.py --messages 24 --json trials.json

A trial is a message of some images, by a mode and a model drawn at random, and written with one or
two threads, the network seeing some images at once. It is decoded in two other processes, of one
thread and of two, where the network sees 1, 7 and 64 images at once. The answer is JSON: how many
times it was decode_pictures, and how many times it was exact, in all and for each of these.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from random import Random

import torch
from torch import Tensor

import mrvae
from helpers.tiny_codec import codec, images, tiny_context
from mrvae.compression import Codec, CodingNetwork, ProgressiveLayers
from mrvae.compression.calibration import codec_for
from mrvae.compression.chunks import decode_chunk, encode_chunk
from mrvae.compression.coding.latents import all_active, units_of
from mrvae.compression.progressive import decode_layers, encode_layers
from mrvae.data import load
from mrvae.recipes.context import AutoregressiveSpec, DCTSpec, MidTreadSpec

MODELS = ("digits-vdvae", "grey", "colour", "context")
MODES = ("direct", "bitsback", "progressive")
ROWS, THREADS, MOST = (1, 7, 64), (1, 2), 8


@dataclass(frozen=True)
class Message:
    """What was coded and how; both sides make the images from the seed."""

    model: str
    mode: str
    seed: int
    count: int
    payloads: tuple[str, ...] = ()

    def images(self) -> Tensor:
        """Return the images: test digits of the shipped model, or random ones."""
        if self.model != "digits-vdvae":
            return images(self.count, self.model == "colour", self.seed)
        return load("digits", "test").take(torch.arange(self.seed, self.seed + self.count))


@cache
def coded(model: str, rows: int) -> Codec:
    """Return the codec of a model that sees so many images at once."""
    if model in ("grey", "colour"):
        return codec(model == "colour", rows)
    if model == "context":
        # Its first weights are drawn, and must be the same in every process.
        torch.manual_seed(7)
        network = tiny_context(DCTSpec(3, MidTreadSpec(2.0), AutoregressiveSpec(8, 2)))
        units = all_active(network.shapes)
        found = Codec(network, units_of(units, 16), units_of(units, 4))
    else:
        network = CodingNetwork.of(mrvae.load(model))
        found = codec_for(network, load("digits", "train").take(torch.arange(64)))
    return replace(found, network=replace(network, rows=rows))


def write(message: Message, rows: int) -> Message:
    """Code a message's images."""
    used, x = coded(message.model, rows), message.images()
    if message.mode == "progressive":
        payloads = [part.payload for part in encode_layers(ProgressiveLayers(used, True), x, MOST)]
    else:
        payloads = [encode_chunk(used, x, 0, MOST, message.mode == "bitsback").payload]
    return replace(message, payloads=tuple(payload.hex() for payload in payloads))


def exact(message: Message, rows: int) -> bool:
    """Decode a message, and compare."""
    used, payloads = coded(message.model, rows), [bytes.fromhex(p) for p in message.payloads]
    if message.mode == "progressive":
        found = decode_layers(ProgressiveLayers(used, True), payloads, message.count, MOST)
    else:
        found = decode_chunk(used, payloads[0], message.count, 0, MOST)
    return torch.equal(found, message.images())


def decode(path: Path) -> list[list[bool]]:
    """Decode every message of a file, the network seeing 1, 7 and 64 images at once."""
    rows = json.loads(path.read_text())
    messages = [Message(**row) for row in rows]
    return [[exact(message, number) for number in ROWS] for message in messages]


def draw(count: int, seed: int) -> list[Message]:
    """Code messages that are drawn at random."""
    rng, messages = Random(seed), []  # noqa: S311
    for number in range(count):
        model, mode = MODELS[number % len(MODELS)], MODES[number // len(MODELS) % len(MODES)]
        message = Message(model, mode, rng.randrange(300), rng.randrange(1, 24))
        torch.set_num_threads(rng.choice(THREADS))
        messages.append(write(message, rng.choice(ROWS)))
    return messages


def elsewhere(path: Path, threads: int) -> list[list[bool]]:
    """Decode in another process."""
    command = [sys.executable, __file__, "--decode", str(path), "--threads", str(threads)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603
    found: list[list[bool]] = json.loads(done.stdout)
    return found


def run(count: int, seed: int) -> dict[str, object]:
    """Code, decode elsewhere, and count."""
    messages, counts = draw(count, seed), Counter[str]()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "messages.json")
        path.write_text(json.dumps([asdict(message) for message in messages]))
        for threads in THREADS:
            for message, found in zip(messages, elsewhere(path, threads), strict=True):
                for rows, right in zip(ROWS, found, strict=True):
                    names = (message.model, message.mode, f"threads {threads}", f"rows {rows}")
                    for name in ("all", *names):
                        counts[name] += 1
                        counts[f"{name}, exact"] += right
    return {"messages": count, "seed": seed, **counts}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--messages", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="file to write the counts into")
    parser.add_argument("--decode", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--threads", type=int, default=1, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.decode is not None:
        torch.set_num_threads(options.threads)
        print(json.dumps(decode(options.decode)))
        return 0
    counts = run(options.messages, options.seed)
    found = json.dumps(counts, indent=2)
    if options.json is not None:
        options.json.write_text(found + "\n")
    print(found)
    return 0 if counts["all"] == counts["all, exact"] else 1


if __name__ == "__main__":
    sys.exit(main())
