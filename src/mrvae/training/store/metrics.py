"""``metrics.jsonl``: one JSON line for each event of a run, in the order of its steps."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path

from mrvae.files import atomic

Value = float | int | bool | None


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
        with self.path.open("a") as file:
            file.write(json.dumps(clean) + "\n")

    def read(self) -> list[dict[str, Value]]:
        """Return all events; an incomplete line, which a killed run may leave, is skipped."""
        if not self.path.exists():
            return []
        events = []
        for line in self.path.read_text(encoding="utf-8").splitlines():
            try:
                event = json.loads(line)
            except json.JSONDecodeError:
                continue
            if isinstance(event, dict):
                events.append(event)
        return events

    def drop_after(self, step: int) -> None:
        """Drop the events of later steps."""
        kept = [event for event in self.read() if (event.get("step") or 0) <= step]
        with atomic(self.path) as temporary:
            temporary.write_text("".join(json.dumps(event) + "\n" for event in kept))
