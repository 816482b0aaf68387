"""The log of a run, ``metrics.jsonl``: one JSON object a line, in the order of the steps.

A log is a file from outside: only a regular file of bounded size is read, and a line counts only if
it is an event, a flat object of numbers, booleans and nulls with a whole ``step``.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import msgspec

from mrvae.files import check_regular

Value = float | int | bool | None
"""What an event may hold under a key; null stands for a number that was not finite."""

LARGEST = 1 << 25
"""Bytes of a log that are read (32 MiB): about 100,000 events of a training."""

_LARGEST_INTEGER = 1 << 63
_DECODER = msgspec.json.Decoder(dict[str, Value])


class Log(NamedTuple):
    """What a log holds.

    Attributes:
        events: in the order of the file.
        damaged: how many of its lines are no events. The beginning of an event at the end of the
            file, which a killed run leaves, is not among them.
    """

    events: list[dict[str, Value]]
    damaged: int


def read_log(path: Path) -> Log:
    r"""Return the events of a log, and the number of damaged lines; none if there is no such file.

    Raises:
        OSError: if the file cannot be opened.
        ValueError: if it is no regular file, or has more than ``LARGEST`` bytes.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     log = Path(folder) / "metrics.jsonl"
        ...     _ = log.write_text('{"step": 1, "nats": 9.0}\n[]\n{"step": 2, "na')
        ...     read_log(log)
        Log(events=[{'step': 1, 'nats': 9.0}], damaged=1)
    """
    if not path.exists():
        return Log([], 0)
    check_regular(path, LARGEST)
    events, damaged = [], 0
    with path.open("rb") as file:
        for line in file:
            event = _event(line)
            if event is not None:
                events.append(event)
            elif line.endswith(b"\n"):
                damaged += 1
    return Log(events, damaged)


def read_events(path: Path) -> list[dict[str, Value]]:
    """Return the events of a log without its damaged lines; none if there is no such file.

    Raises:
        OSError: if the file cannot be opened.
        ValueError: if it is no regular file, or has more than ``LARGEST`` bytes.
    """
    return read_log(path).events


def _event(line: bytes) -> dict[str, Value] | None:
    """Return the event of a line, or None if it holds none."""
    try:
        event = _DECODER.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    step = event.get("step")
    if isinstance(step, bool) or not isinstance(step, int) or step < 0:
        return None
    integers = (value for value in event.values() if isinstance(value, int))
    return event if all(abs(value) < _LARGEST_INTEGER for value in integers) else None
