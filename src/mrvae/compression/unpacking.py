"""From a file to pictures, all of them or none.

A picture's file is named after its old stem, and the stem, which the file says, is not believed: no
character of it can lead out of the folder, and none of two equal names is overwritten.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import torch
from torch import Tensor

from mrvae.compression import units
from mrvae.compression.chunks import DamagedError, read_chunk
from mrvae.compression.codec import Codec
from mrvae.compression.container import Container, Entry, Header
from mrvae.compression.identity import Known
from mrvae.compression.latents import of_shapes
from mrvae.compression.layers import Layers, read_layers
from mrvae.compression.network import Network
from mrvae.compression.patches import count_of, to_picture
from mrvae.data.files.image_files import from_tensor
from mrvae.files import atomic

_LONGEST = 100


def unpack(container: Container, known: Known, folder: Path) -> tuple[Path, ...]:
    """Write the pictures of a file into a folder, which is made.

    Of a file that was cut, these are the pictures that are whole, or if it is progressive, those of
    which something is told.

    Raises:
        ValueError: if the model is another one, a chunk does not decode, no picture is whole, or
            there is a file of a picture's name already. No picture is then written.
    """
    paths = [folder / name for name in file_names(container.header.entries)]
    for path in paths:
        if path.exists():
            raise ValueError(f"{path} exists; name another folder, or move it away")
    folder.mkdir(exist_ok=True)
    done = []
    with ExitStack() as whole:
        for path, (_, picture) in zip(paths, decoded(container, known), strict=False):
            temporary = whole.enter_context(atomic(path))
            from_tensor(picture).save(temporary, format="PNG")
            done.append(path)
        if not done:
            raise ValueError(f"{container.path} was cut before its first picture is whole")
    return tuple(done)


def decoded(container: Container, known: Known) -> Iterator[tuple[Entry, Tensor]]:
    """Yield the pictures of a file, uint8 (C, H, W), as far as they are there.

    Of a progressive file they are as fine as the layers that are there tell them.

    Raises:
        ValueError: if the model is another one, or a chunk does not decode.
    """
    header = container.header
    check_model(container, known)
    codec = codec_of(container.path, header, known.network)
    spans = (_layered if header.mode.layered else _chunked)(container, codec)
    waiting = torch.zeros(0, *known.network.image, dtype=torch.uint8)
    entries, next_one = header.entries, 0
    for x in spans:
        waiting = torch.cat([waiting, x])
        while next_one < len(entries):
            entry = entries[next_one]
            n = count_of(entry.height, entry.width, header.size)
            if len(waiting) < n:
                break
            yield entry, to_picture(waiting[:n], entry.height, entry.width)
            waiting, next_one = waiting[n:], next_one + 1


def _chunked(container: Container, codec: Codec) -> Iterator[Tensor]:
    """Yield the patches of each chunk."""
    path, header = container.path, container.header
    for index, (first, count) in zip(range(len(container.places)), header.counts(), strict=False):
        try:
            yield read_chunk(codec, container.payload(index), count, first, header.most)
        except DamagedError as error:
            raise ValueError(f"{path}: chunk {index} is refused: {error}") from None


def _layered(container: Container, codec: Codec) -> Iterator[Tensor]:
    """Yield the patches of each span, by as many of its layers as there are."""
    path, header = container.path, container.header
    layers = Layers(codec, header.lossless)
    if len(layers.marks) != header.layers:
        raise ValueError(f"{path} is damaged: its {header.layers} layers are not its units'")
    there = range(len(container.places))
    for span, (_, count) in zip(there, header.counts(), strict=False):
        payloads = [container.payload(index) for index in there[span :: header.spans]]
        try:
            yield read_layers(layers, payloads, count, header.most)
        except DamagedError as error:
            raise ValueError(f"{path}: run {span} of patches is refused: {error}") from None


def check_model(container: Container, known: Known) -> None:
    """Refuse to decode with another model than the one that wrote the file."""
    header = container.header
    if header.model != known.hash:
        raise ValueError(
            f"{container.path} was written with the model {header.model.hex()}, and {known.run} is "
            f"the model {known.hash.hex()}"
        )
    channels, size, _ = known.network.image
    levels = known.network.model.frame.bins
    if (header.channels, header.size, header.levels) != (channels, size, levels):
        raise ValueError(f"{container.path} is damaged: its images are not those of its model")
    if header.most > known.network.batch():
        raise ValueError(
            f"{container.path} declares batches of {header.most} images; with this model at most "
            f"{known.network.batch()} are read"
        )


def codec_of(path: Path, header: Header, network: Network) -> Codec:
    """Return the codec by which a file was written."""
    try:
        direct = units.unpack(header.direct_units, network.shapes)
        bits_back = units.unpack(header.chained_units, network.shapes) if header.bits_back else ()
    except ValueError as error:
        raise ValueError(f"{path} is damaged: {error}") from None
    return Codec(
        network, of_shapes(direct, header.direct_step), of_shapes(bits_back, header.chained_step)
    )


def file_names(entries: Sequence[Entry]) -> tuple[str, ...]:
    """Return a file name for each picture, no two alike and none that leads elsewhere.

    Example:
        >>> file_names([Entry("../../etc/cat", 1, 1), Entry("Cat", 1, 1), Entry("cat", 1, 1)])
        ('etc_cat.png', 'Cat.png', 'cat-2.png')
    """
    taken: set[str] = set()
    names = []
    for entry in entries:
        stem = re.sub(r"[^\w .()+-]", "_", entry.name).strip("._ ")[:_LONGEST] or "image"
        name, number = stem, 1
        # Some file systems do not tell cat from Cat.
        while name.lower() in taken:
            number += 1
            name = f"{stem}-{number}"
        taken.add(name.lower())
        names.append(f"{name}.png")
    return tuple(names)
