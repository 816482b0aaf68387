"""The log of a run, ``metrics.jsonl``: one JSON object a line, in the order of the steps."""

from __future__ import annotations

import json
from pathlib import Path

Value = float | int | bool | None
"""What an event may hold under a key; null stands for a number that was not finite."""


def read_events(path: Path) -> list[dict[str, Value]]:
    r"""Return the events of a log, in order; none if there is no such file.

    A line that is no JSON object is skipped, such as the last one of a run that was killed, and so
    is a value that is no number, boolean or null.

    Raises:
        OSError: if the file cannot be read.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     log = Path(folder) / "metrics.jsonl"
        ...     _ = log.write_text('{"step": 1, "nats": 9.0}\n{"step": 2, "na')
        ...     read_events(log)
        [{'step': 1, 'nats': 9.0}]
    """
    if not path.exists():
        return []
    events = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            event = json.loads(line)
        except json.JSONDecodeError:
            continue
        if isinstance(event, dict):
            events.append({key: value for key, value in event.items() if _is_value(value)})
    return events


def _is_value(value: object) -> bool:
    return value is None or isinstance(value, int | float)
