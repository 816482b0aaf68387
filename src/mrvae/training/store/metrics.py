"""Writing of ``metrics.jsonl``, which :mod:`mrvae.run_log` reads."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path

from mrvae.files import atomic
from mrvae.run_log import Log, Value, read_events, read_log


class Metrics:
    """Appends events to a file, and drops those that a resumed run repeats.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     metrics = Metrics(Path(folder) / "metrics.jsonl")
        ...     metrics.append({"step": 1, "nats": 9.0})
        ...     metrics.append({"step": 2, "nats": 8.0})
        ...     metrics.drop_after(1)
        ...     metrics.read()
        [{'step': 1, 'nats': 9.0}]
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, event: Mapping[str, Value]) -> None:
        """Write one event with its ``step``. A value that is not finite becomes null."""
        finite = {k for k, v in event.items() if v is not None and math.isfinite(v)}
        clean = {k: v if k in finite else None for k, v in event.items()}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(clean) + "\n")

    def read(self) -> list[dict[str, Value]]:
        """Return all events; an incomplete line, which a killed run may leave, is skipped."""
        return read_events(self.path)

    def drop_after(self, step: int) -> None:
        """Drop the events of later steps."""
        self._write([event for event in self.read() if (event["step"] or 0) <= step])

    def mend(self) -> str:
        """Set a damaged log aside, and keep those of its events that can be read.

        Returns a line that names the damage and the file's new name; empty if there is no damage.
        """
        try:
            log = read_log(self.path)
            problem = f"{self.path} has lines that are no events"
        except ValueError as error:
            log, problem = Log([], 1), str(error)
        if not log.damaged:
            return ""
        names = (self.path.with_name(f"{self.path.name}.damaged-{n}") for n in count(1))
        aside = next(path for path in names if not path.exists())
        self.path.rename(aside)
        self._write(log.events)
        return (
            f"{problem}; it is now {aside.name}, and the {len(log.events)} events that could be "
            "read are kept"
        )

    def _write(self, events: Sequence[Mapping[str, Value]]) -> None:
        with atomic(self.path) as temporary:
            temporary.write_text("".join(json.dumps(event) + "\n" for event in events))
