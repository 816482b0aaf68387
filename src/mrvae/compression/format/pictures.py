"""Picture files as the patches that a model codes."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mrvae.compression.format.coded_files import PICTURE_FILES, CodedFiles
from mrvae.compression.format.header import PictureEntry
from mrvae.compression.network import CodingNetwork
from mrvae.data.files.image_files import from_tensor
from mrvae.data.images import check_bins
from mrvae.data.patches import cut_patches, patch_count

_MAX_NAME_BYTES = 255


@dataclass(frozen=True, eq=False)
class Pictures:
    """Pictures, or recordings, to be coded by a model, each read when it is needed.

    Args:
        paths: of the files.
        network: the model.
        files: how the files are read.

    Raises:
        ValueError: if there is none, or one does not have the channels of the model's images,
            pictures being 8-bit grey or RGB.
    """

    paths: tuple[Path, ...]
    network: CodingNetwork
    files: CodedFiles = PICTURE_FILES

    def __post_init__(self) -> None:
        if not self.paths:
            raise ValueError("there are no images; name one or more")
        channels = self.network.image[0]
        for path in self.paths:
            own = self.files.shape(path)[0]
            if own != channels and self.files.signal is not None:
                raise ValueError(f"{path} has {own} channels; this model's signals {channels}")
            if own != channels:
                kinds = {1: "grey", 3: "RGB"}
                raise ValueError(
                    f"{path} is {kinds[own]}; this model's images are "
                    f"{kinds.get(channels, f'of {channels} channels')}, convert it"
                )

    def entries(self) -> tuple[PictureEntry, ...]:
        """Return the name and the size of each picture."""
        shapes = [self.files.shape(path) for path in self.paths]
        names = [path.stem.encode("utf-8", "replace")[:_MAX_NAME_BYTES] for path in self.paths]
        return tuple(
            PictureEntry(name.decode("utf-8", "ignore"), height, width)
            for name, (_, height, width) in zip(names, shapes, strict=True)
        )

    def picture(self, index: int) -> Tensor:
        """Return the picture, uint8 (C, H, W).

        Raises:
            ValueError: if a pixel has no bin of the model.
        """
        path = self.paths[index]
        picture = self.files.read(path)
        check_bins(picture, self.network.model.frame.bins, str(path))
        return picture

    @property
    def patches(self) -> int:
        """Number of patches of all pictures."""
        size = self.network.image[1:]
        return sum(patch_count(entry.height, entry.width, size) for entry in self.entries())

    def chunks(self, per_chunk: int) -> Iterator[Tensor]:
        """Yield all patches in order, ``per_chunk`` at a time."""
        waiting: list[Tensor] = []
        for index in range(len(self.paths)):
            waiting.append(cut_patches(self.picture(index), self.network.image[1:]))
            if sum(map(len, waiting)) >= per_chunk:
                *whole, rest = torch.split(torch.cat(waiting), per_chunk)
                yield from whole
                waiting = [rest]
                if len(rest) == per_chunk:
                    yield rest
                    waiting = []
        if waiting:
            yield torch.cat(waiting)

    def sample(self, wanted: int) -> Tensor:
        """Return about ``wanted`` patches, spread over the pictures and over each picture."""
        indices = np.unique(np.linspace(0, len(self.paths) - 1, wanted).astype(int))
        per_picture = -(-wanted // len(indices))
        sampled = []
        for index in indices.tolist():
            patches = cut_patches(self.picture(index), self.network.image[1:])
            places = np.unique(np.linspace(0, len(patches) - 1, per_picture + 2).astype(int))
            chosen = places[1:-1] if len(places) > per_picture else places
            sampled.append(patches[torch.from_numpy(chosen)])
        return torch.cat(sampled)


def png_bytes(pictures: Pictures) -> int:
    """Return the bytes of pictures as PNG: of their files, or as Pillow writes those of others.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> from mrvae.compression import open_model
        >>> network = open_model("digits-vdvae").network
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Image.new("L", (8, 8)).save(path := Path(folder, "a.png"))
        ...     png_bytes(Pictures((path,), network)) == path.stat().st_size
        True
    """
    return sum(_png_bytes(pictures, index) for index in range(len(pictures.paths)))


def _png_bytes(pictures: Pictures, index: int) -> int:
    path = pictures.paths[index]
    if path.suffix.lower() == ".png":
        return path.stat().st_size
    file = io.BytesIO()
    from_tensor(pictures.picture(index)).save(file, format="PNG", optimize=True)
    return len(file.getvalue())
