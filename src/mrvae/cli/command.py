"""What a command is, what it answers, and how it may end early."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Answer:
    """The values of ``--json``, and the text for people.

    Both are empty in a process that leaves printing to the first of several processes.

    Attributes:
        values: what ``--json`` prints.
        text: what is printed without.
        problems: what failed after the work; one line each on stderr, after the answer.
        code: the exit code.
    """

    values: Mapping[str, object]
    text: str
    problems: tuple[str, ...] = ()
    code: int = 0


class Command(Protocol):
    """A command of the command line, once parsed."""

    @property
    def json(self) -> bool:
        """Whether the answer is printed as one JSON object."""
        ...

    def run(self) -> Answer:
        """Run the command; a user's mistake is a ``ValueError`` or an ``OSError``."""
        ...


class Stopped(Exception):
    """A command that ended early for a reason that is no mistake, with its exit code.

    With ``on_all_processes`` the first process prints the reason; otherwise each prints its own.
    """

    def __init__(self, message: str, code: int, on_all_processes: bool = True) -> None:
        super().__init__(message)
        self.code = code
        self.on_all_processes = on_all_processes


@contextmanager
def stopped_early(interrupted: str | None = None) -> Iterator[None]:
    """Turn the exceptions of a training that ended early into :class:`Stopped`.

    ``interrupted`` is the message after a signal; by default the training's own.
    """
    from mrvae.training import Diverged, Failed, Interrupted, OutOfMemory
    from mrvae.training.stop import ignore_signals

    try:
        yield
    except Interrupted as stop:
        # A launcher repeats its signal, and what is left is to end with the code of the first.
        ignore_signals()
        raise Stopped(interrupted or str(stop), 128 + stop.signal_number) from None
    except Diverged as stop:
        raise Stopped(str(stop), 1) from None
    except OutOfMemory as stop:
        raise Stopped(str(stop), 2, on_all_processes=False) from None
    except Failed as stop:
        raise Stopped(str(stop), 1, on_all_processes=False) from None
