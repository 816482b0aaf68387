"""The device that computes: the fastest that there is, or the one that is asked for."""

from __future__ import annotations

import re

import torch

_NAME = re.compile(r"cpu|mps|cuda(?::(\d{1,4}))?")


def choose_device(name: str | None = None) -> torch.device:
    """Return the device of a name; without one the fastest kind here: CUDA, then MPS, then the CPU.

    Args:
        name: ``cpu``, ``cuda``, ``cuda:1`` for the second CUDA device, or ``mps``.

    Raises:
        ValueError: if it is no such name, or this machine has no such device.

    Example:
        >>> choose_device("cpu")
        device(type='cpu')
        >>> choose_device("gpu")
        Traceback (most recent call last):
        ValueError: the device is 'gpu'; give cpu, cuda, cuda:N or mps
    """
    if name is None:
        return _fastest()
    match = _NAME.fullmatch(name)
    if match is None:
        raise ValueError(f"the device is {name[:40]!r}; give cpu, cuda, cuda:N or mps")
    problem = _missing(name, int(match[1] or 0))
    if problem:
        raise ValueError(f"the device is {name}, and {problem}; give another, or leave it out")
    return torch.device(name)


def check_float64(device: torch.device, needed: bool) -> None:
    """Refuse a device without float64 for a model that needs it, which one with a context does.

    Raises:
        ValueError: if the device is MPS, and the model needs float64.

    Example:
        >>> check_float64(torch.device("mps"), needed=True)
        Traceback (most recent call last):
        ValueError: the device is mps, without the float64 that a context needs; use the CPU ...
    """
    if needed and device.type == "mps":
        raise ValueError(
            "the device is mps, without the float64 that a context needs; use the CPU (--device "
            "cpu) or CUDA"
        )


def _fastest() -> torch.device:
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def _missing(name: str, index: int) -> str:
    """Return why this machine does not have a device; an empty text if it does."""
    if name == "cpu":
        return ""
    if name == "mps":
        return "" if torch.backends.mps.is_available() else "torch finds no MPS device here"
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not count:
        return f"torch {torch.__version__} finds no CUDA device here"
    return "" if index < count else f"the last one here is cuda:{count - 1}"
