"""Files of contexts only: they decode to the model's pictures, and learning makes them short."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from helpers.tiny_codec import known
from mrvae.compression import (
    CodingModel,
    CodingNetwork,
    Pictures,
    pack,
    pack_layers,
    read_container,
    unpack,
)
from mrvae.compression.coding.context import push_context
from mrvae.compression.coding.stack import Stack
from mrvae.compression.format.unpacking import decode_pictures
from mrvae.data.files.image_files import read
from mrvae.data.patches import cut_patches, join_patches
from mrvae.models.build import make_context_only
from mrvae.models.context.conditioner import Conditioner
from mrvae.recipes.context import AutoregressiveSpec, DCTSpec, MidTreadSpec, PooledSpec
from mrvae.recipes.context_only import ContextOnly
from mrvae.recipes.wavelet import LogisticImage


@pytest.fixture(scope="module")
def context_only() -> CodingModel:
    """A context of RGB pixels with a random prior."""
    torch.manual_seed(1)
    context = DCTSpec(3, MidTreadSpec(0.5), AutoregressiveSpec(8, 2), ycbcr=True, chroma=2)
    model = make_context_only(ContextOnly(3, 8, context))
    model.context.fit(torch.randint(0, 256, (50, 3, 8, 8), dtype=torch.uint8))
    return CodingModel(Path("context-only"), bytes(32), CodingNetwork.of(model))


@pytest.fixture
def photographs(tmp_path: Path) -> tuple[Path, ...]:
    stream = torch.Generator().manual_seed(3)
    paths = []
    for i, (height, width) in enumerate([(19, 40), (8, 5)]):
        rough = torch.rand(1, 3, 3, 4, generator=stream)
        pixels = torch.nn.functional.interpolate(rough, (height, width), mode="bilinear")[0]
        levels = (255 * pixels).byte().permute(1, 2, 0).contiguous()
        paths.append(tmp_path / f"photo{i}.png")
        Image.fromarray(levels.numpy()).save(paths[-1])
    return tuple(paths)


def test_a_file_of_contexts_decodes_to_the_picture_of_the_model(
    context_only: CodingModel, photographs: tuple[Path, ...], tmp_path: Path
) -> None:
    out, model = tmp_path / "few.mrv", context_only.network.model
    packed = pack_layers(context_only, Pictures(photographs, context_only.network), out, keep=1)
    assert not packed.lossless
    assert [name for name, _ in packed.layers] == ["context"]
    assert packed.size == out.stat().st_size
    # At most a word for the message, its first word, and a CRC.
    assert packed.ideal_bits <= packed.payload_bits <= packed.ideal_bits + 3 * 32 + 1
    other = CodingModel(context_only.run, context_only.hash, CodingNetwork(model, rows=3))
    written = unpack(read_container(out), other, tmp_path / "back")
    for path, back in zip(photographs, written, strict=True):
        x = read(path, None)
        with torch.no_grad():
            shown = model.reconstruct(cut_patches(x, 8), keep=1)
        assert torch.equal(read(back, None), join_patches(shown, *x.shape[1:]))


@pytest.mark.parametrize("bits_back", [False, True], ids=["direct", "bits-back"])
def test_a_model_without_latents_codes_pictures_exactly(
    context_only: CodingModel, photographs: tuple[Path, ...], tmp_path: Path, bits_back: bool
) -> None:
    out = tmp_path / "all.mrv"
    packed = pack(
        context_only, Pictures(photographs, context_only.network), out, bits_back, verify=False
    )
    assert packed.payload_bits >= packed.ideal_bits
    found = list(decode_pictures(read_container(out), context_only))
    for path, (_, back) in zip(photographs, found, strict=True):
        assert torch.equal(back, read(path, None))


def test_a_file_of_another_model_is_refused(
    context_only: CodingModel, photographs: tuple[Path, ...], tmp_path: Path
) -> None:
    out = tmp_path / "few.mrv"
    pack_layers(
        context_only, Pictures(photographs, context_only.network), out, keep=1, verify=False
    )
    with pytest.raises(ValueError, match="was written with the model"):
        list(decode_pictures(read_container(out), known(colour=True)))


def dependent(n: int, seed: int) -> Tensor:
    """Return images (n, 1, 2, 2) whose pixels follow the first one, but for a coin's throw."""
    stream = torch.Generator().manual_seed(seed)
    first = torch.randint(0, 7, (n, 1), generator=stream)
    coins = torch.randint(0, 2, (n, 3), generator=stream)
    return torch.cat([first, first + coins], dim=1).view(n, 1, 2, 2).byte()


def learnt(seen: Tensor) -> Conditioner:
    """Return a context whose codes are the pixels, with a prior after a few training steps."""
    torch.manual_seed(0)
    # Pixels 0 … 8 lie on multiples of 1/4 in [-1, 1], so that no code is a tie of rounding.
    context = PooledSpec(1, MidTreadSpec(1 / 4), AutoregressiveSpec(hidden=32, components=2))
    conditioner = make_context_only(ContextOnly(1, 2, context, LogisticImage(9))).context
    conditioner.fit(seen)
    (c,) = conditioner.encode(seen)
    optimizer = torch.optim.Adam(conditioner.parameters(), lr=1e-2)
    for step in range(250):
        part = (c[64 * (step % 31) : 64 * (step % 31) + 64],)
        loss = conditioner.nats(part, torch.zeros(64, 0), None).mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return conditioner.double()


def bits(conditioner: Conditioner, x: Tensor) -> float:
    """Return the bits of a message of contexts, per image."""
    stack = Stack()
    with torch.no_grad():
        push_context(stack, conditioner, conditioner.encode(x))
    assert stack.bits >= stack.ideal
    return stack.bits / len(x)


def static(x: Tensor, y: Tensor) -> float:
    """Return the ideal bits of images y by a table for each pixel, learnt from images x."""
    total = 0.0
    for seen, new in zip(x.flatten(1).T, y.flatten(1).T, strict=True):
        share = (torch.bincount(seen.long(), minlength=8).double() + 0.5) / (len(seen) + 4)
        total -= float(share[new.long()].log2().sum())
    return total / len(y)


def test_what_is_learnt_is_shorter_than_static_tables_and_longer_if_shuffled() -> None:
    seen, new = dependent(2_000, seed=0), dependent(300, seed=1)
    conditioner, tables, entropy = learnt(seen), static(seen, new), math.log2(7) + 3
    stream = np.random.default_rng(0)
    columns = [new.flatten(1)[stream.permutation(300), i] for i in range(4)]
    shuffled = torch.stack(columns, dim=1).view(new.shape)
    # 300 × 3 coins and 300 first pixels: the standard deviation is below 0.1 bits per image.
    assert entropy - 0.3 < bits(conditioner, new) < tables - 3
    # The same codes at the same places, independent of each other.
    assert static(seen, shuffled) == pytest.approx(tables, abs=1e-9)
    assert bits(conditioner, shuffled) > tables
