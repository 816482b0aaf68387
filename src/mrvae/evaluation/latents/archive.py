"""Latents of images as a file of NumPy: encoded once, used anywhere, decoded again.

An archive is an .npz file with

    names       of the images, (N,) text
    model       a digest of the weights that encoded them
    latent_1 …  the posterior means of latent l, (N, C, H, W), l counted from 1, coarse to fine

A context is latent 1, as int64 codes. Latents may be missing: decoding takes them from the prior.
The file is read without pickle. Every declared size is compared with the file before memory is
allocated.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from math import prod
from pathlib import Path
from typing import IO

import numpy as np
import torch
from numpy.lib import format as npy
from numpy.typing import NDArray
from torch import Tensor

from mrvae.data import Images, normal
from mrvae.data.files.untrusted import check_size, opened
from mrvae.evaluation.memory import Progress, batches_within, rows_within
from mrvae.files import atomic
from mrvae.models import HVAE
from mrvae.models.finite import check_finite
from mrvae.models.hierarchy.walk import from_prior, given

_MOST_BYTES = 1 << 33
_LONGEST_HEADER = 1 << 16
_NAME = re.compile(r"latent_([1-9]\d{0,4})")
_TYPES = ("float32", "float64", "float16", "int64")
_MOST_NAME_BYTES = 1 << 14


@dataclass(frozen=True, eq=False)
class LatentArchive:
    """Posterior means of N images.

    Attributes:
        names: of the images.
        latents: by number from 1, coarse to fine, a context first; each (N, C, H, W) on the CPU.
        model: digest of the weights, :func:`weights_digest`.
    """

    names: tuple[str, ...]
    latents: Mapping[int, Tensor]
    model: str

    def write(self, path: Path) -> None:
        """Write the archive, atomically."""
        arrays: dict[str, NDArray[np.generic]] = {
            "names": np.array(self.names, dtype=np.str_),
            "model": np.array(self.model, dtype=np.str_),
            **{f"latent_{number}": z.numpy() for number, z in self.latents.items()},
        }
        with atomic(path) as temporary, temporary.open("wb") as file:
            # By name, numpy would add a suffix.
            np.savez(file, **arrays)  # type: ignore[arg-type]


def weights_digest(model: HVAE) -> str:
    """Return 128 bits of BLAKE2b of all weights, in hexadecimal.

    Example:
        >>> import mrvae
        >>> model = mrvae.load("digits-vdvae")
        >>> weights_digest(model) == weights_digest(mrvae.load("digits-vdvae"))
        True
    """
    digest = blake2b(digest_size=16)
    for name, tensor in sorted(model.state_dict().items()):
        value = tensor.detach().cpu().contiguous()
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def encode_images(
    model: HVAE,
    images: Images,
    names: Sequence[str],
    layers: Sequence[int] = (),
    *,
    memory: int = 1 << 30,
    progress: Progress | None = None,
) -> LatentArchive:
    """Return the posterior means of some latents of all images.

    Args:
        model: the model.
        images: of its shape and number of bins.
        names: one for each image.
        layers: numbers of the latents, from 1, coarse to fine; all by default.
        memory: bytes that activations may take, about.
        progress: called with the number of images just encoded.

    Raises:
        ValueError: if a layer does not exist or is named twice, the latents would take more than
            8 GiB, the names are not as many as the images, or the images are not the model's.

    Example:
        >>> import mrvae
        >>> from mrvae.data import load
        >>> images = load("digits", "validation").first(2)
        >>> archive = encode_images(mrvae.load("digits-vdvae"), images, ["a", "b"], [1, 3])
        >>> [tuple(z.shape) for z in archive.latents.values()]
        [(2, 4, 1, 1), (2, 4, 4, 4)]
    """
    chosen = tuple(layers) or tuple(range(1, model.stochastic_depth + 1))
    _check_layers(model, chosen)
    if len(names) != len(images):
        raise ValueError(f"{len(names)} names for {len(images)} images; give one for each")
    weight = next(model.parameters())
    values = len(images) * sum(prod(model.shapes[layer - 1]) for layer in chosen)
    if values * weight.element_size() > _MOST_BYTES:
        raise ValueError(
            f"the latents of {len(images):,} images are {values:,} numbers, more than 8 GiB; take "
            "fewer images or layers at a time"
        )
    parts: dict[int, list[Tensor]] = {layer: [] for layer in chosen}
    with torch.inference_mode():
        for _, x in batches_within(memory, model, images, progress):
            latents = model.encode(x.to(weight.device))
            for layer in chosen:
                parts[layer].append(latents[layer - 1].cpu().contiguous())
    joined = {layer: torch.cat(tensors) for layer, tensors in parts.items()}
    check_finite(*joined.values())
    return LatentArchive(tuple(names), joined, weights_digest(model))


def decode_latents(
    model: HVAE,
    latents: Mapping[int, Tensor],
    *,
    temperature: float = 0.0,
    seed: int = 0,
    memory: int = 1 << 30,
) -> Iterator[Tensor]:
    """Yield the mean images of latents, as values 0 … bins-1 in batches (b, C, H, W) on the CPU.

    Args:
        model: the model.
        latents: by number from 1, coarse to fine; those that are missing come from the prior.
        temperature: of the prior; at 0 its means.
        seed: of the prior's noise.
        memory: bytes that activations may take, about.

    Raises:
        ValueError: if a latent does not exist or has another shape, the context is missing, or
            an image is not finite.

    Example:
        >>> import mrvae
        >>> model = mrvae.load("digits-vdvae")
        >>> x = torch.zeros(3, 1, 8, 8, dtype=torch.uint8)
        >>> latents = dict(enumerate(model.encode(x), start=1))
        >>> (mean,) = decode_latents(model, latents)
        >>> bool(torch.equal(mean.round().to(torch.uint8), model.reconstruct(x)))
        True
    """
    check_latent_shapes(model, latents)
    weight, contexts = next(model.parameters()), len(model.context.shapes)
    count = len(next(iter(latents.values())))
    rows = rows_within(memory, model)
    for start in range(0, count, rows):
        indices = range(start, min(start + rows, count))
        part = {
            number: z[start : indices.stop].to(
                weight.device, torch.int64 if number <= contexts else weight.dtype
            )
            for number, z in latents.items()
        }
        numbers = range(1 + contexts, model.stochastic_depth + 1)
        choices = [
            given(part[number]) if number in part else from_prior(temperature) for number in numbers
        ]
        size = model.latent_noise_size
        noise = normal(seed, 0, indices, size, weight.device, weight.dtype)
        with torch.inference_mode():
            observed = model.condition(tuple(part[1 + index] for index in range(contexts)))
            mean = model.trace(observed, choices, noise).likelihood.mean().cpu()
        check_finite(mean)
        # A mean may leave the range of the bins by a rounding error.
        yield mean.clamp(0, model.frame.bins - 1)


def check_latent_shapes(model: HVAE, latents: Mapping[int, Tensor]) -> None:
    """Refuse latents that are not of a model.

    Raises:
        ValueError: if there is none, or one does not exist, has another shape, or has values that
            are not finite or no codes; or if the context is missing.
    """
    contexts = len(model.context.shapes)
    _check_layers(model, tuple(latents))
    count = len(next(iter(latents.values())))
    for number, z in latents.items():
        if tuple(z.shape) != (count, *model.shapes[number - 1]):
            expected = model.shapes[number - 1]
            raise ValueError(
                f"latent {number} has shape {tuple(z.shape)}; this model's is (N, *{expected}), "
                f"with N = {count}: it was encoded by another model"
            )
        if (number <= contexts) == z.is_floating_point():
            kind = "int64 codes of a context" if number <= contexts else "real numbers"
            raise ValueError(f"latent {number} is {z.dtype}; this model's are {kind}")
        check_finite(z)
    missing = set(range(1, contexts + 1)) - latents.keys()
    if missing:
        raise ValueError("latent 1, the context, is missing, and all others follow from it")


def _check_layers(model: HVAE, layers: Sequence[int]) -> None:
    depth = model.stochastic_depth
    for layer in layers:
        if not 1 <= layer <= depth:
            raise ValueError(
                f"layer {layer} does not exist; this model has {depth} latents, from 1, the "
                f"coarsest, to {depth}"
            )
    if len(set(layers)) < len(layers) or not layers:
        raise ValueError(f"the layers are {', '.join(map(str, layers))}; name each once")


def read_archive(path: Path) -> LatentArchive:
    """Read an archive.

    Raises:
        ValueError: naming the file, if it is no archive of latents, is damaged, or declares more
            than it holds.
    """
    with opened(path) as stream, zipfile.ZipFile(stream) as archive:
        held = archive.namelist()
        numbers = {}
        for name in held:
            found = _NAME.fullmatch(name.removesuffix(".npy"))
            if found is not None:
                numbers[int(found.group(1))] = name
        if not {"names.npy", "model.npy"} <= set(held) or not numbers:
            raise ValueError(f"{path}: is no file of latents; write one by mrvae encode")
        names = _member(archive, "names.npy", path)
        model = _member(archive, "model.npy", path)
        arrays = {number: _member(archive, numbers[number], path) for number in sorted(numbers)}
    if names.dtype.kind != "U" or model.dtype.kind != "U" or names.ndim != 1 or model.ndim:
        raise ValueError(f"{path}: its names are no text; write it by mrvae encode")
    for number, array in arrays.items():
        known = array.dtype.isnative and array.dtype.name in _TYPES
        if not known or array.ndim != 4 or len(array) != len(names):
            raise ValueError(
                f"{path}: latent {number} is {array.dtype.name} of shape {array.shape} for "
                f"{len(names)} names; expected (N, C, H, W) of {', '.join(_TYPES)}"
            )
    latents = {number: torch.from_numpy(array) for number, array in arrays.items()}
    return LatentArchive(tuple(map(str, names)), latents, str(model))


def _member(archive: zipfile.ZipFile, name: str, path: Path) -> NDArray[np.generic]:
    """Read one array, into the memory that its header declares and the file can hold."""
    member = archive.getinfo(name)
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{path}: {name} is compressed in an unknown way; use numpy.savez")
    stored = min(member.compress_size, path.stat().st_size)
    check_size(path, member.file_size, stored, member.compress_type == zipfile.ZIP_DEFLATED)
    with archive.open(member) as stream:
        _check_header(stream, path, name, member.file_size)
    with archive.open(member) as stream:
        array: NDArray[np.generic] = npy.read_array(
            stream, allow_pickle=False, max_header_size=_LONGEST_HEADER
        )
    return array


def _check_header(stream: IO[bytes], path: Path, name: str, size: int) -> None:
    """Refuse an array whose header declares another size than its member has."""
    version = npy.read_magic(stream)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, _, dtype = read(stream, max_header_size=_LONGEST_HEADER)
    if dtype.hasobject or dtype.itemsize > _MOST_NAME_BYTES:
        raise ValueError(f"{path}: {name} holds {str(dtype)[:40]}; it is no array of latents")
    if prod(shape) * dtype.itemsize > size or any(side < 1 for side in shape):
        raise ValueError(
            f"{path}: {name} declares shape {shape} and has {size:,} bytes; it is damaged, get the "
            "file again"
        )
