"""``state.json`` and ``state.sha256`` of a checkpoint, written and read by one type.

``state.json`` has the digest of the tensors, and ``state.sha256`` that of ``state.json``, so that a
change of any bit of any file is noticed. The second has the format of ``sha256sum``. Both are files
from outside: only regular files of bounded size are read, and only values of the declared types are
taken.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from mrvae.files import atomic, check_regular, write_json
from mrvae.training.store.identity import Count, RunIdentity

_STATE, _DIGEST = "state.json", "state.sha256"
_LARGEST = 1 << 26


class TrainingProgress(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The progress of a run.

    Attributes:
        step: number of completed steps.
        nats: −ELBO per validation image when last measured; None if it never was, or was not
            finite.
        best: the lowest such value so far, or None.
    """

    step: Count = 0
    nats: float | None = None
    best: float | None = None


class State(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The values of a checkpoint that are no tensors.

    Attributes:
        progress: of the run.
        updates: number of updates that were not skipped.
        norms: of the gradients in the window of the skip rule.
        counters: of the skip rule: skipped and broken in a row, skipped and broken in total.
        run: what the checkpoint belongs to.
        tensors: SHA-256 of the file of the tensors.
    """

    progress: TrainingProgress
    updates: Count
    norms: list[float]
    counters: tuple[Count, Count, Count, Count]
    run: RunIdentity
    tensors: str

    @property
    def broken(self) -> bool:
        """Whether the loss or the gradient of the last step was not finite."""
        return self.counters[1] > 0


def write_state(folder: Path, state: State) -> None:
    """Write the values and their digest into the folder of a checkpoint."""
    write_json(folder / _STATE, msgspec.to_builtins(state))
    with atomic(folder / _DIGEST) as temporary:
        temporary.write_bytes(_digest_line((folder / _STATE).read_bytes()))


def read_state(folder: Path) -> State:
    """Return the values of a checkpoint.

    Raises:
        OSError: if a file cannot be opened.
        ValueError: if a bit has changed since they were written, or a value is of another type.
    """
    content = _read(folder / _STATE)
    if _read(folder / _DIGEST) != _digest_line(content):
        raise ValueError(f"its {_STATE} or {_DIGEST} has changed since it was written")
    state = msgspec.json.decode(content, type=State)
    _, _, skipped, broken = state.counters
    if state.updates + skipped + broken != state.progress.step:
        raise ValueError("its numbers of steps, updates and skips do not add up")
    return state


def file_digest(path: Path, largest: int) -> str:
    """Return the SHA-256 of a regular file of at most ``largest`` bytes."""
    check_regular(path, largest)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read(path: Path) -> bytes:
    check_regular(path, _LARGEST)
    return path.read_bytes()


def _digest_line(content: bytes) -> bytes:
    return f"{hashlib.sha256(content).hexdigest()}  {_STATE}\n".encode()
