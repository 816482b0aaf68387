"""From pictures to a progressive file: which layers it has, and in which order they stand.

The chunks of a layer, one for each run of patches, stand together, and the layers stand one behind
the other from coarse to fine: so the first bytes of a file tell a little of all pictures. How many
layers there are may be said in two ways. With M the latents of which they tell, a context counted,
and X bits a pixel, the file of n layers is chosen that is the largest one with

    m_n ≤ M,        8 · bytes(n) ≤ X · pixels,

m_n being the n-th layer's latent. The bytes are all of them, with header and checks, and the header
does not name units of layers that are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from mrvae.compression.container import (
    Entry,
    Header,
    Mode,
    framed_size,
    read_container,
    write_header,
)
from mrvae.compression.container import write_chunk as framed
from mrvae.compression.identity import Known
from mrvae.compression.layers import Layers, Message, write_layers
from mrvae.compression.packing import TRIED, Pictures, codec_for, header_for, verify_exact
from mrvae.compression.unpacking import decoded
from mrvae.files import atomic


@dataclass(frozen=True)
class PackedLayers:
    """What a progressive file holds.

    Attributes:
        size: bytes of the file.
        pixels: of all pictures.
        patches: of all pictures, reflected parts included.
        layers: the name of each layer, and its bytes, with those of its checks.
        lossless: whether the last of them makes the pictures exact.
        payload_bits: of all chunks, without header and checks.
        ideal_bits: what the laws say that they take.
    """

    size: int
    pixels: int
    patches: int
    layers: tuple[tuple[str, int], ...]
    lossless: bool
    payload_bits: int
    ideal_bits: float


def pack_layers(
    known: Known,
    pictures: Pictures,
    out: Path,
    keep: int | None = None,
    max_bpp: float | None = None,
    seen: Tensor | None = None,
    verify: bool = True,
) -> PackedLayers:
    """Write pictures into a progressive file; all messages are in memory until it is written.

    Args:
        known: the model.
        pictures: what to write.
        out: the file, which appears when it is whole.
        keep: the latents of which the file may tell, from the top, a context counted; by default
            all of them and the pixels, without which it is lossy.
        max_bpp: bits a pixel that the file has at most.
        seen: images (N, C, S, S) by which units are chosen; by default some of the patches.
        verify: whether to decode the file before it gets its name. A lossless one is compared with
            the pictures, a lossy one must decode.

    Raises:
        ValueError: if a picture is not the model's, the first layer is too much already, or the
            file does not decode.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from PIL import Image
        >>> from mrvae.compression import open_model
        >>> known = open_model("digits-vdvae")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Image.fromarray(np.eye(8, dtype=np.uint8)).save(f"{folder}/eye.png")
        ...     pictures = Pictures((Path(folder, "eye.png"),), known.network)
        ...     packed = pack_layers(known, pictures, Path(folder, "eye.mrv"))
        >>> packed.lossless, packed.layers[-1][0]
        (True, 'pixels')
    """
    mark = None if keep is None else known.network.model.check_keep(keep)
    every = Layers(codec_for(known.network, pictures.some(TRIED) if seen is None else seen), True)
    layers = every if mark is None else every.upto(mark)
    if not layers.marks:
        raise ValueError(
            f"keep is {keep}, and of the top {keep} latents nothing is coded; the first layer of "
            f"these pictures is {every.names[0]}"
        )
    most = known.network.batch()
    per_chunk = header_for(known, layers.codec, (), Mode.PROGRESSIVE).per_chunk
    messages = [write_layers(layers, x, most) for x in pictures.chunks(per_chunk)]
    draft = _Draft(known, pictures.entries(), layers, messages)
    count = len(layers.marks) if max_bpp is None else draft.fitting(max_bpp)
    with atomic(out) as temporary:
        temporary.write_bytes(b"".join(draft.parts(count)))
        if verify:
            _verify(temporary, known, pictures)
    return draft.report(count)


@dataclass(frozen=True)
class _Draft:
    """The messages [span][layer] of pictures, of which a file may have the first layers."""

    known: Known
    entries: tuple[Entry, ...]
    layers: Layers
    messages: Sequence[Sequence[Message]]

    @property
    def pixels(self) -> int:
        """Pixels of all pictures."""
        return sum(entry.height * entry.width for entry in self.entries)

    def first(self, count: int) -> Layers:
        """Return the first layers."""
        return self.layers.upto(self.layers.marks[count - 1])

    def header(self, count: int) -> Header:
        """Return the header of the file of so many layers."""
        kept = self.first(count)
        header = header_for(self.known, kept.codec, self.entries, Mode.PROGRESSIVE)
        return replace(header, layers=count, lossless=kept.lossless)

    def parts(self, count: int) -> Iterator[bytes]:
        """Yield the header and the chunks of the file of so many layers."""
        front = write_header(self.header(count))
        yield front
        chunks = [span[layer].payload for layer in range(count) for span in self.messages]
        for index, payload in enumerate(chunks):
            yield framed(front, index, payload)

    def size(self, count: int) -> int:
        """Return the bytes of the file of so many layers."""
        return sum(map(len, self.parts(count)))

    def fitting(self, max_bpp: float) -> int:
        """Return the largest number of layers that has no more bits a pixel."""
        for count in range(len(self.layers.marks), 0, -1):
            if 8 * self.size(count) / self.pixels <= max_bpp:
                return count
        least = 8 * self.size(1) / self.pixels
        raise ValueError(
            f"max_bpp is {max_bpp:g}, and header and first layer, {self.layers.names[0]}, take "
            f"{least:.4g} bits a pixel; allow more"
        )

    def report(self, count: int) -> PackedLayers:
        """Return what the file of so many layers holds."""
        header, chosen = self.header(count), [span[:count] for span in self.messages]
        sizes = [sum(framed_size(m.payload) for m in layer) for layer in zip(*chosen, strict=True)]
        flat = [message for span in chosen for message in span]
        return PackedLayers(
            self.size(count),
            self.pixels,
            header.patches,
            tuple(zip(self.first(count).names, sizes, strict=True)),
            header.lossless,
            sum(8 * len(message.payload) for message in flat),
            sum(message.ideal for message in flat),
        )


def _verify(path: Path, known: Known, pictures: Pictures) -> None:
    """Decode a file that was just written, and compare what is exact."""
    container = read_container(path)
    if container.header.lossless:
        verify_exact(path, known, pictures)
    elif len(list(decoded(container, known))) != len(pictures.paths):
        raise ValueError("the file does not decode to all pictures; nothing is written")
