"""From a file to pictures or recordings, all of them or none.

A picture is named after the stem of its original name. That stem comes from the file and is not
trusted: it cannot lead out of the folder, and equal names do not overwrite each other.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

import torch
from torch import Tensor

from mrvae.compression.chunks import DamagedError, decode_chunk
from mrvae.compression.codec import Codec
from mrvae.compression.coding.latents import units_of
from mrvae.compression.coding.unit_masks import masks_from_bytes
from mrvae.compression.format.coded_files import suffix_of, write_contents
from mrvae.compression.format.container import Container, framed_size
from mrvae.compression.format.header import FileHeader, PictureEntry
from mrvae.compression.format.new_files import check_absent, new_files
from mrvae.compression.identity import CodingModel
from mrvae.compression.network import CodingNetwork
from mrvae.compression.progress import Progress, no_progress, shifted
from mrvae.compression.progressive import ProgressiveLayers, decode_layers
from mrvae.data.patches import join_patches, patch_count

_MAX_NAME_BYTES, _NUMBER_BYTES = 255, 9


def unpack(
    container: Container, model: CodingModel, folder: Path, progress: Progress = no_progress
) -> tuple[Path, ...]:
    """Write the pictures or recordings of a file into a folder, which is made if there is none.

    Of a file that was cut, these are the pictures that are whole, or if it is progressive, those of
    which there is a layer.

    Raises:
        ValueError: if the model is another one, a chunk does not decode, no picture is whole, or
            a file of a picture's name exists. No picture is then written, and no folder made.
    """
    signal = container.header.signal
    names = file_names(container.header.entries, suffix_of(signal))
    check_absent(folder, names)
    pictures = decode_pictures(container, model, progress)
    first, count = next(pictures, None), 0
    if first is None:
        raise ValueError(f"{container.path} was cut within its first picture")
    with new_files(folder, names) as temporaries:
        for path, (_, picture) in zip(temporaries, chain([first], pictures), strict=False):
            write_contents(path, picture, signal)
            count += 1
    return tuple(folder / name for name in names[:count])


def decode_pictures(
    container: Container, model: CodingModel, progress: Progress = no_progress
) -> Iterator[tuple[PictureEntry, Tensor]]:
    """Yield the pictures of a file, uint8 (C, H, W), as far as the file has them.

    Those of a progressive file are as fine as its layers make them.

    Raises:
        ValueError: if the model is another one, or a chunk does not decode.
    """
    header = container.header
    check_model(container, model)
    codec = codec_of(container.path, header, model.network)
    runs = (_layers if header.mode.layered else _chunks)(container, codec, progress)
    parts: list[Tensor] = []
    waiting = 0
    for entry in header.entries:
        count = patch_count(entry.height, entry.width, header.size)
        while waiting < count:
            x = next(runs, None)
            if x is None:
                return
            parts.append(x)
            waiting += len(x)
        # Joined once for each picture: joining chunk by chunk would take quadratic time.
        patches = torch.cat(parts) if len(parts) > 1 else parts[0]
        yield entry, join_patches(patches[:count], entry.height, entry.width)
        parts, waiting = [patches[count:]], waiting - count


def _chunks(container: Container, codec: Codec, progress: Progress) -> Iterator[Tensor]:
    """Yield the patches of each chunk."""
    path, header = container.path, container.header
    for index, (first, count) in zip(range(len(container.places)), header.counts(), strict=False):
        part = shifted(progress, first, container.places[index][0])
        payload = container.payload(index)
        try:
            yield decode_chunk(codec, payload, count, first, header.most, part)
        except DamagedError as error:
            raise ValueError(f"{path}: chunk {index} is refused: {error}") from None


def _layers(container: Container, codec: Codec, progress: Progress) -> Iterator[Tensor]:
    """Yield the patches of each run, decoded from the layers that the file has."""
    path, header = container.path, container.header
    layers = ProgressiveLayers(codec, header.lossless)
    if len(layers.marks) != header.layers:
        raise ValueError(f"{path} is damaged: its {header.layers} layers do not match its units")
    chunks, size = range(len(container.places)), len(container.front)
    for span, (first, count) in zip(chunks, header.counts(), strict=False):
        payloads = [container.payload(index) for index in chunks[span :: header.spans]]
        part = shifted(progress, first, size)
        size += sum(map(framed_size, payloads))
        try:
            yield decode_layers(layers, payloads, count, header.most, part)
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
    frame = model.network.model.frame
    if (header.channels, header.size, header.bins) != (frame.channels, frame.size, frame.bins):
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


def file_names(entries: Sequence[PictureEntry], suffix: str = ".png") -> tuple[str, ...]:
    """Return a file name for each picture, all different, none leading out of the folder.

    Example:
        >>> file_names([PictureEntry(name, 1, 1) for name in ("../../etc/cat", "Cat", "cat")])
        ('etc_cat.png', 'Cat.png', 'cat-2.png')
    """
    taken: set[str] = set()
    last: dict[str, int] = {}
    names = []
    for entry in entries:
        safe = re.sub(r"[^\w .()+-]", "_", entry.name).strip("._ ") or "image"
        name = stem = _shortened(safe, _MAX_NAME_BYTES - len(suffix))
        short = _shortened(stem, _MAX_NAME_BYTES - len(suffix) - _NUMBER_BYTES)
        # A stem's numbers are tried once each, so that all names together take linear time.
        number = last.get(_key(short), 1)
        while _key(name) in taken:
            number += 1
            name = f"{short}-{number}"
        if name != stem:
            last[_key(short)] = number
        taken.add(_key(name))
        names.append(name + suffix)
    return tuple(names)


def _shortened(text: str, most: int) -> str:
    """Return the first characters of a text, of at most so many bytes."""
    return text.encode("utf-8")[:most].decode("utf-8", "ignore")


def _key(name: str) -> str:
    """Return what two names share that some file system does not distinguish."""
    return unicodedata.normalize("NFC", name).casefold()
