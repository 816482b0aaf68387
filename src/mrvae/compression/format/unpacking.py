"""From a file to pictures, all of them or none.

A picture is named after the stem of its original name. That stem comes from the file and is not
trusted: it cannot lead out of the folder, and equal names do not overwrite each other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import torch
from torch import Tensor

from mrvae.compression.chunks import DamagedError, decode_chunk
from mrvae.compression.codec import Codec
from mrvae.compression.coding.latents import units_of
from mrvae.compression.coding.unit_masks import masks_from_bytes
from mrvae.compression.format.container import Container
from mrvae.compression.format.header import FileHeader, PictureEntry
from mrvae.compression.identity import CodingModel
from mrvae.compression.network import CodingNetwork
from mrvae.compression.progressive import ProgressiveLayers, decode_layers
from mrvae.data.files.image_files import from_tensor
from mrvae.data.patches import join_patches, patch_count
from mrvae.files import atomic, new_folder

_MAX_STEM = 100


def unpack(container: Container, model: CodingModel, folder: Path) -> tuple[Path, ...]:
    """Write the pictures of a file into a folder, which is made unless nothing can be written.

    Of a file that was cut, these are the pictures that are whole, or if it is progressive, those of
    which there is a layer.

    Raises:
        ValueError: if the model is another one, a chunk does not decode, no picture is whole, or
            a file of a picture's name exists. No picture is then written.
    """
    paths = [folder / name for name in file_names(container.header.entries)]
    for path in paths:
        if path.exists():
            raise ValueError(f"{path} exists; name another folder, or move it away")
    written = []
    with new_folder(folder), ExitStack() as files:
        for path, (_, picture) in zip(paths, decode_pictures(container, model), strict=False):
            temporary = files.enter_context(atomic(path))
            from_tensor(picture).save(temporary, format="PNG")
            written.append(path)
        if not written:
            raise ValueError(f"{container.path} was cut within its first picture")
    return tuple(written)


def decode_pictures(
    container: Container, model: CodingModel
) -> Iterator[tuple[PictureEntry, Tensor]]:
    """Yield the pictures of a file, uint8 (C, H, W), as far as the file has them.

    Those of a progressive file are as fine as its layers make them.

    Raises:
        ValueError: if the model is another one, or a chunk does not decode.
    """
    header = container.header
    check_model(container, model)
    codec = codec_of(container.path, header, model.network)
    runs = (_layers if header.mode.layered else _chunks)(container, codec)
    waiting = torch.zeros(0, *model.network.image, dtype=torch.uint8)
    for entry in header.entries:
        count = patch_count(entry.height, entry.width, header.size)
        while len(waiting) < count:
            x = next(runs, None)
            if x is None:
                return
            waiting = torch.cat([waiting, x])
        yield entry, join_patches(waiting[:count], entry.height, entry.width)
        waiting = waiting[count:]


def _chunks(container: Container, codec: Codec) -> Iterator[Tensor]:
    """Yield the patches of each chunk."""
    path, header = container.path, container.header
    for index, (first, count) in zip(range(len(container.places)), header.counts(), strict=False):
        try:
            yield decode_chunk(codec, container.payload(index), count, first, header.most)
        except DamagedError as error:
            raise ValueError(f"{path}: chunk {index} is refused: {error}") from None


def _layers(container: Container, codec: Codec) -> Iterator[Tensor]:
    """Yield the patches of each run, decoded from the layers that the file has."""
    path, header = container.path, container.header
    layers = ProgressiveLayers(codec, header.lossless)
    if len(layers.marks) != header.layers:
        raise ValueError(f"{path} is damaged: its {header.layers} layers do not match its units")
    chunks = range(len(container.places))
    for span, (_, count) in zip(chunks, header.counts(), strict=False):
        payloads = [container.payload(index) for index in chunks[span :: header.spans]]
        try:
            yield decode_layers(layers, payloads, count, header.most)
        except DamagedError as error:
            raise ValueError(f"{path}: run {span} of patches is refused: {error}") from None


def check_model(container: Container, model: CodingModel) -> None:
    """Refuse to decode with another model than the one that wrote the file."""
    header = container.header
    if header.model_hash != model.hash:
        raise ValueError(
            f"{container.path} was written with the model {header.model_hash.hex()}, and "
            f"{model.run} is the model {model.hash.hex()}"
        )
    channels, size, _ = model.network.image
    bins = model.network.model.frame.bins
    if (header.channels, header.size, header.bins) != (channels, size, bins):
        raise ValueError(f"{container.path} is damaged: its images do not fit its model")
    if header.most > model.network.batch():
        raise ValueError(
            f"{container.path} declares batches of {header.most} images; with this model at most "
            f"{model.network.batch()} are allowed"
        )


def codec_of(path: Path, header: FileHeader, network: CodingNetwork) -> Codec:
    """Return the codec by which a file was written."""
    try:
        direct = masks_from_bytes(header.direct_units, network.shapes)
        bits_back = (
            masks_from_bytes(header.bits_back_units, network.shapes) if header.bits_back else ()
        )
    except ValueError as error:
        raise ValueError(f"{path} is damaged: {error}") from None
    return Codec(
        network, units_of(direct, header.direct_step), units_of(bits_back, header.bits_back_step)
    )


def file_names(entries: Sequence[PictureEntry]) -> tuple[str, ...]:
    """Return a file name for each picture, all different, none leading out of the folder.

    Example:
        >>> file_names([PictureEntry(name, 1, 1) for name in ("../../etc/cat", "Cat", "cat")])
        ('etc_cat.png', 'Cat.png', 'cat-2.png')
    """
    taken: set[str] = set()
    names = []
    for entry in entries:
        stem = re.sub(r"[^\w .()+-]", "_", entry.name).strip("._ ")[:_MAX_STEM] or "image"
        name, number = stem, 1
        # Some file systems do not distinguish cat and Cat.
        while name.lower() in taken:
            number += 1
            name = f"{stem}-{number}"
        taken.add(name.lower())
        names.append(f"{name}.png")
    return tuple(names)
