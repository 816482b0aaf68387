"""How long a command will take, printed on stderr before it begins where that is over a minute."""

from __future__ import annotations

from mrvae.streams import notice, tolerant_stderr

_UNITS = (("year", 31_557_600.0), ("day", 86_400.0), ("hour", 3_600.0), ("minute", 60.0))
_ANNOUNCED = 60.0
_BUSY = 1.3


def announce(seconds: float) -> None:
    """Print a forecast of more than a minute on stderr."""
    if seconds > _ANNOUNCED:
        line = f"mrvae: this takes about {duration(seconds)}; Ctrl-C stops it"
        print(line, file=tolerant_stderr())


def announce_training(seconds: float, busy: float, compiled: bool) -> None:
    """Print a forecast of a whole training on stderr.

    Args:
        seconds: that it takes on a machine with nothing else to do.
        busy: by what they are multiplied while the machine is as busy as now.
        compiled: whether the model will be compiled, which shortens it.
    """
    before = "before compilation, " if compiled else ""
    now = (
        f", {duration(seconds * busy)} while the machine is as busy as now" if busy > _BUSY else ""
    )
    notice(f"training takes about {before}{duration(seconds)}{now}; Ctrl-C stops it and saves")


def duration(seconds: float) -> str:
    """Return a time in seconds, or in the largest unit that fits, with two digits.

    Example:
        >>> duration(12.3), duration(90), duration(86_400), duration(1e12)
        ('12 seconds', '1.5 minutes', '1 day', '32,000 years')

    """
    name, unit = next((each for each in _UNITS if seconds >= each[1]), ("second", 1.0))
    rounded = float(f"{seconds / unit:.2g}")
    number = f"{rounded:,.0f}" if rounded >= 10 else f"{rounded:g}"
    return f"{number} {name}" if number == "1" else f"{number} {name}s"


def counted(count: int, name: str) -> str:
    """Return a number and what is counted, in the plural unless there is one.

    Example:
        >>> counted(1, "thread"), counted(2, "thread")
        ('1 thread', '2 threads')

    """
    return f"{count} {name}" if count == 1 else f"{count} {name}s"
