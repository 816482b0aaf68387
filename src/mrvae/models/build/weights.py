"""Models on disk: weights as safetensors, their recipe as JSON, and nothing that runs.

A run directory is self-contained: ``recipe.json`` and ``weights.safetensors``, which holds the
averaged weights, are enough to load it. The model is first built without memory, and the file's
names, shapes and types are held against it before anything is allocated: a file can ask for no
more than its own size.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from mrvae.files import atomic, check_regular
from mrvae.models.build import build
from mrvae.models.build.size import Size, check_size, size_of
from mrvae.models.hvae import HVAE
from mrvae.recipes.schema import Recipe
from mrvae.recipes.serial import from_json, parse

_LARGEST_RECIPE = 1 << 20
_MARGIN = 64 << 20
SHIPPED = Path(__file__).parents[2] / "shipped"


def load(
    run: Path | str, best: bool = False, repeat: int | None = None, large: bool = False
) -> HVAE:
    """Load the model of a run directory, in evaluation mode, on the CPU.

    ``best`` takes the averaged weights of the best validation instead of the last ones. ``repeat``
    visits each block and cell that many times in a row, whatever it was trained with: how often is
    not in the weights. Parameters and layers may be as many as the file of the weights holds;
    unless ``large``, a pass takes no more than :data:`mrvae.models.build.size.LARGEST`.

    Raises:
        ValueError: if the directory, its recipe or its weights are missing, damaged or do not
            belong together, ``repeat`` is out of range, or a pass takes too much.
    """
    folder = locate(run)
    recipe = read_recipe(folder)
    weights = folder / ("best.safetensors" if best else "weights.safetensors")
    if not weights.is_file():
        raise ValueError(f"{weights} does not exist; train the run first, or resume it")
    size = size_of(recipe.model, repeat=repeat)
    _refuse_other_size(weights, size)
    if not large:
        check_size(replace(size, parameters=0, layers=0))
    with torch.device("meta"):
        model = build(recipe, repeat, large=True)
    model.load_state_dict(read_tensors(weights, model), strict=True, assign=True)
    return model.eval()


def locate(run: Path | str) -> Path:
    """Return the folder of a run: the directory itself, or that of a model that ships with mrvae.

    Raises:
        ValueError: if it is neither, naming the models that ship.

    Example:
        >>> locate("digits-vdvae").name
        'digits-vdvae'
    """
    path = Path(run)
    if path.is_dir():
        return path
    known = sorted(folder.name for folder in SHIPPED.iterdir() if folder.is_dir())
    if str(run) in known:
        return SHIPPED / str(run)
    raise ValueError(
        f"{run} is no run directory, nor a model that ships with mrvae ({', '.join(known)})"
    )


def read_recipe(run: Path) -> Recipe:
    """Read the recipe of a run directory.

    Raises:
        ValueError: if there is none, or it cannot be read.
    """
    path = run / "recipe.json"
    if not path.is_file():
        raise ValueError(f"{run} is no run directory: it has no recipe.json; train makes one")
    if path.stat().st_size > _LARGEST_RECIPE:
        raise ValueError(f"{path} is too large to be a recipe")
    try:
        found = parse(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not JSON: {error}") from None
    if not isinstance(found, dict) or "recipe" not in found:
        raise ValueError(f"{path} holds no recipe; it was not written by train")
    return from_json(found["recipe"])


def read_tensors(path: Path, model: HVAE) -> dict[str, Tensor]:
    """Read a file that holds exactly the model's tensors.

    Raises:
        ValueError: if it is damaged, or another model's, naming the first difference.
    """
    expected = model.state_dict()
    try:
        with safe_open(path, framework="pt") as file:
            names = set(file.keys())
            _refuse_difference(path, names, set(expected))
            for name, tensor in expected.items():
                shape = file.get_slice(name).get_shape()
                if list(tensor.shape) != list(shape):
                    raise ValueError(
                        f"{path} belongs to another model: {name} has shape {shape}, "
                        f"this recipe's {list(tensor.shape)}"
                    )
            return {name: _full(path, name, file.get_tensor(name), expected) for name in expected}
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged or no safetensors file: {error}") from None


def save_weights(path: Path, tensors: dict[str, Tensor]) -> None:
    """Write tensors by name, atomically; equal tensors give equal bytes.

    Raises:
        OSError: if the disk is full, or does not take the file for another reason.
    """
    with atomic(path) as temporary:
        found = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
        try:
            save_file(found, temporary)
        except SafetensorError as error:
            raise OSError(f"{path}: {error}") from None
        # safetensors makes files that only their owner reads; weights are as readable as a recipe.
        temporary.chmod(0o644)


def _refuse_other_size(path: Path, size: Size) -> None:
    """Refuse a file that is too large or too small for a model of a size, before it is built."""
    # Mapping a file of any length takes address space of that length.
    check_regular(path, 16 * size.parameters + _MARGIN)
    try:
        with safe_open(path, framework="pt") as file:
            count = len(file.keys())
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged or no safetensors file: {error}") from None
    # A layer has a weight and a bias; a file has four bytes for every parameter.
    if count < 2 * size.layers or path.stat().st_size < 4 * size.parameters:
        raise ValueError(
            f"{path} belongs to another model: this recipe's has {size.layers:,} layers of "
            f"{size.parameters:,} parameters, and the file {count:,} tensors in "
            f"{path.stat().st_size:,} bytes"
        )


def _refuse_difference(path: Path, found: set[str], expected: set[str]) -> None:
    for what, names in (("lacks", expected - found), ("has a foreign", found - expected)):
        if names:
            raise ValueError(f"{path} belongs to another model: it {what} tensor {min(names)}")


def _full(path: Path, name: str, tensor: Tensor, expected: dict[str, Tensor]) -> Tensor:
    """Refuse weights of another type, or that are not finite."""
    if tensor.dtype != expected[name].dtype:
        raise ValueError(
            f"{path}: tensor {name} is {tensor.dtype}, this recipe's {expected[name].dtype}"
        )
    if not bool(torch.isfinite(tensor).all()):
        raise ValueError(f"{path}: tensor {name} holds values that are not finite numbers")
    return tensor
