"""The device on which a trained model is used."""

from __future__ import annotations

import torch


def choose_device() -> torch.device:
    """Return the fastest kind of device that this machine has: CUDA, then MPS, then the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")
