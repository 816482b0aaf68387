"""The golden files of the format: what they hold, and how they are written again.

    PYTHONPATH=src python tests/compression/golden_files.py

A golden file is written once and must be decoded for ever. It names its model by a hash, so it must
be written again if the recipe's keys or the names of its weights change, and for no other reason:
:func:`reissue` changes the model's hash in the header and the CRCs that depend on it, and refuses a
file whose units or payloads the present code would not write in the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from mrvae.compression import (
    CodingModel,
    Container,
    Mode,
    ProgressiveLayers,
    open_model,
    read_container,
)
from mrvae.compression.chunks import encode_chunk
from mrvae.compression.format.container import frame_chunk, front_of
from mrvae.compression.format.unpacking import codec_of
from mrvae.compression.progressive import encode_layers
from mrvae.data import load
from mrvae.data.patches import cut_patches
from mrvae.files import atomic

HERE = Path(__file__).parent
CONTEXT_RUN = HERE.parents[1] / "results/runs/kuzina2023-cpu/cifar10-context-seed0"


@dataclass(frozen=True)
class GoldenFile:
    """A golden file.

    Attributes:
        name: of the file.
        run: of the model that wrote it.
        patches: makes what it holds, uint8 (N, C, S, S).
    """

    name: str
    run: Path | str
    patches: Callable[[], Tensor]

    @property
    def path(self) -> Path:
        """Where the file is."""
        return HERE / self.name

    def payloads(self, container: Container, model: CodingModel) -> tuple[bytes, ...]:
        """Return the payloads that the present code writes with the units of the file."""
        header, x = container.header, self.patches()
        codec = codec_of(self.path, header, model.network)
        if header.mode is not Mode.PROGRESSIVE:
            return (encode_chunk(codec, x, 0, header.most, header.bits_back).payload,)
        layers = encode_layers(ProgressiveLayers(codec, header.lossless), x, header.most)
        return tuple(layer.payload for layer in layers)


def digits() -> Tensor:
    """Return the first 20 test digits."""
    return load("digits", "test").take(torch.arange(20))


def drawing() -> Tensor:
    """Return a picture of slopes and squares, uint8 (3, 48, 80)."""
    c, i, j = torch.meshgrid(torch.arange(3), torch.arange(48), torch.arange(80), indexing="ij")
    return (60 + 2 * i + c * j // 2 + 50 * ((i // 12 + j // 20) % 2)).clamp(0, 255).byte()


BITS_BACK = GoldenFile("golden.mrv", "digits-vdvae", digits)
LAYERS = GoldenFile("golden-progressive.mrv", "digits-vdvae", digits)
CONTEXT = GoldenFile("golden-context.mrv", CONTEXT_RUN, lambda: cut_patches(drawing(), 32))
GOLDEN = (BITS_BACK, LAYERS, CONTEXT)


def reissue(golden: GoldenFile) -> bool:
    """Write a golden file with the present hash of its model; return whether that changed it.

    Raises:
        ValueError: if the present code would write other payloads.
    """
    container, model = read_container(golden.path), open_model(golden.run)
    stored = tuple(container.payload(index) for index in range(len(container.places)))
    if golden.payloads(container, model) != stored:
        raise ValueError(f"{golden.name}: the payloads would change; the format is broken")
    front = front_of(replace(container.header, model_hash=model.hash))
    data = front + b"".join(frame_chunk(front, *chunk) for chunk in enumerate(stored))
    changed = data != golden.path.read_bytes()
    if changed:
        with atomic(golden.path) as temporary:
            temporary.write_bytes(data)
    return changed


if __name__ == "__main__":
    for golden in GOLDEN:
        print(golden.name, "is written again" if reissue(golden) else "is as it was")
