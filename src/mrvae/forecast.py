"""How long a command will take, printed on stderr before it begins where that is over a minute."""

from __future__ import annotations

from mrvae.streams import tolerant_stderr

_UNITS = (("year", 31_557_600.0), ("day", 86_400.0), ("hour", 3_600.0), ("minute", 60.0))
_ANNOUNCED = 60.0


def announce(seconds: float, at_least: bool = False) -> None:
    """Print a forecast of more than a minute on stderr; ``at_least`` says that it is a bound."""
    if seconds > _ANNOUNCED:
        how = "at least" if at_least else "about"
        line = f"mrvae: this takes {how} {duration(seconds)}; Ctrl-C stops it"
        print(line, file=tolerant_stderr())


def duration(seconds: float) -> str:
    """Return a time of at least a minute in the largest unit that fits, with two digits.

    Example:
        >>> duration(90), duration(86_400), duration(1e12)
        ('1.5 minutes', '1 day', '32,000 years')

    """
    name, unit = next((each for each in _UNITS if seconds >= each[1]), _UNITS[-1])
    rounded = float(f"{seconds / unit:.2g}")
    number = f"{rounded:,.0f}" if rounded >= 10 else f"{rounded:g}"
    return f"{number} {name}" if number == "1" else f"{number} {name}s"
