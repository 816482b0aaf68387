"""Checks of the shapes and types of the arguments of transforms."""

from __future__ import annotations

from torch import Tensor


def check_dims(dims: int) -> None:
    """Refuse any number of axes but one and two."""
    if dims not in (1, 2):
        raise ValueError(f"dims is {dims}; it must be 1 (signals) or 2 (images)")


def check_floating(x: Tensor) -> None:
    """Refuse whole numbers, which would wrap around in sums."""
    if not x.is_floating_point():
        raise ValueError(f"dtype is {x.dtype}; expected floating point, convert with .float()")


def check_axes(x: Tensor, dims: int) -> None:
    """Refuse a tensor without the axes to be transformed."""
    if x.dim() < dims:
        raise ValueError(f"shape is {tuple(x.shape)}; expected {dims} axes or more")


def check_even(x: Tensor, dims: int) -> None:
    """Refuse what one step of a transform cannot halve."""
    check_floating(x)
    sides = x.shape[x.dim() - dims :]
    if x.dim() < dims or any(side % 2 for side in sides):
        raise ValueError(
            f"shape is {tuple(x.shape)}; expected {dims} axes or more, the last"
            f" {dims} of even size, pad or crop the image"
        )


def check_steps(x: Tensor, dims: int, steps: int) -> None:
    """Refuse what cannot be halved ``steps`` times."""
    if steps < 0:
        raise ValueError(f"steps is {steps}; it must be 0 or more")
    check_floating(x)
    check_axes(x, dims)
    sides, factor = x.shape[x.dim() - dims :], 1 << steps
    if any(side % factor for side in sides):
        raise ValueError(
            f"sides are {tuple(sides)}; {steps} steps down need multiples of {factor},"
            " pad or crop the image"
        )


def check_parts(coarse: Tensor, details: Tensor, dims: int) -> None:
    """Refuse a coarse part and details that are not of one image."""
    lead, sides = coarse.shape[:-dims], coarse.shape[-dims:]
    if coarse.dim() < dims or details.shape != (*lead, 2**dims - 1, *sides):
        raise ValueError(
            f"coarse is {tuple(coarse.shape)} and details are {tuple(details.shape)};"
            f" expected {2**dims - 1} details, on an axis of their own before the last"
            f" {dims}, all of coarse's size"
        )
