"""The processes and the device of a run, through accelerate."""

from __future__ import annotations

from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.tracking import get_available_trackers

from mrvae.processes import on_cpu, process_state


def make_accelerator(
    path: Path, tracker: str | None, device: torch.device | None = None
) -> Accelerator:
    """Return the accelerator, after joining the other processes of the run.

    Args:
        path: of the run, into which trackers write.
        tracker: a tracker of accelerate, such as ``"tensorboard"``.
        device: to compute on; by default the device of this process.

    Raises:
        ValueError: if several processes are to compute on one device.
    """
    process_state(device)
    return Accelerator(
        cpu=on_cpu(device), mixed_precision="no", log_with=tracker, project_dir=str(path)
    )


def check_tracker(tracker: str | None) -> None:
    """Refuse a tracker that accelerate would silently ignore."""
    available = sorted(str(name) for name in get_available_trackers())
    if tracker is not None and tracker not in available:
        known = ", ".join(available) or "none is installed"
        raise ValueError(
            f"tracker {tracker!r} is not installed here, or unknown; available: {known}"
        )
