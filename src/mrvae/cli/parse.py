"""From arguments to a command.

tyro reads each command's dataclass, prints its help and converts its values. Two things are done
before: options and positional arguments may come in any order, so that ``key=value`` can stand on
both sides of an option; and an unknown option is answered with a near one. What tyro refuses, it
says in a box on stderr; its first paragraph is taken out of the box and becomes our one line.
"""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import io
import re
import typing
from collections.abc import Mapping, Sequence

import tyro

from mrvae.cli.answer import Command

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_ARG: typing.Any = type(tyro.conf.arg())
_POSITIONAL = typing.get_args(tyro.conf.Positional[int])[1]
_CONFIG = (tyro.conf.FlagCreatePairsOff, tyro.conf.OmitArgPrefixes)


def overview(commands: Mapping[str, type[Command]]) -> str:
    """Return the help of the whole command line: every command with its first sentence."""
    lines = [f"  {name:<12} {_sentence(cls)}" for name, cls in commands.items()]
    return "\n".join(
        [
            "usage: mrvae COMMAND …",
            "",
            "Multi-resolution variational autoencoders: train, evaluate, sample, look inside.",
            "",
            "commands:",
            *lines,
            "",
            "mrvae COMMAND --help explains a command; mrvae --version names this version.",
            "To begin:  mrvae train digits-vdvae",
        ]
    )


def parse(commands: Mapping[str, type[Command]], arguments: Sequence[str]) -> Command | None:
    """Return the command that the arguments ask for; None if they asked for help, and got it.

    Raises:
        ValueError: if they do not make a command; the message is one line.

    """
    if not arguments:
        raise ValueError(f"give a command: {', '.join(commands)}; mrvae --help explains them")
    name, *rest = arguments
    if name not in commands:
        raise ValueError(f"there is no command {name!r}; {_suggestion(name, list(commands))}")
    cls = commands[name]
    helps = "--help" in rest or "-h" in rest
    return _tyro(name, cls, ["--help"] if helps else _positionals_last(name, cls, rest))


def _tyro(name: str, cls: type[Command], arguments: Sequence[str]) -> Command | None:
    """Let tyro make the command, and put what it refuses on one line."""
    refusal = io.StringIO()
    try:
        with contextlib.redirect_stderr(refusal):
            return tyro.cli(cls, prog=f"mrvae {name}", args=arguments, config=_CONFIG)
    except SystemExit as end:
        if not end.code:
            return None
    raise ValueError(f"{_unboxed(refusal.getvalue())}; see mrvae {name} --help")


def _unboxed(text: str) -> str:
    """Return the first paragraph inside a box."""
    lines = [line.strip("│ \t") for line in _COLOUR.sub("", text).splitlines()]
    inside = [line for line in lines if line and not line.startswith("╭")]
    ends = [i for i, line in enumerate(inside) if line.startswith(("─", "╰"))]
    return " ".join(inside[: ends[0]] if ends else inside).rstrip(".")


def _positionals_last(name: str, cls: type, arguments: Sequence[str]) -> list[str]:
    """Put options before positional arguments, and refuse unknown ones."""
    takes_value = _options(cls)
    options: list[str] = []
    positionals: list[str] = []
    rest = iter(arguments)
    for token in rest:
        flag, equals, _ = token.partition("=")
        flag = flag.replace("_", "-")
        if not token.startswith("--"):
            positionals.append(token)
        elif flag not in takes_value:
            raise ValueError(f"{name} has no option {flag}; {_suggestion(flag, [*takes_value])}")
        else:
            options.append(token)
            if takes_value[flag] and not equals:
                options.append(_next(rest, flag))
    return options + positionals


def _next(rest: typing.Iterator[str], flag: str) -> str:
    """Return the value of an option."""
    token = next(rest, "--")
    if token.startswith("--"):
        raise ValueError(f"{flag} needs a value after it")
    return token


def _options(cls: type) -> dict[str, bool]:
    """Return the options of a command, and whether each takes a value."""
    hints = typing.get_type_hints(cls, include_extras=True)
    names = [f.name for f in dataclasses.fields(cls) if not _positional(hints[f.name])]
    plain = typing.get_type_hints(cls)
    return {_flag(name, hints[name]): plain[name] is not bool for name in names}


def _flag(name: str, hint: object) -> str:
    """Return the option of a field: its own name, unless it is given another."""
    found = [each.name for each in typing.get_args(hint)[1:] if isinstance(each, _ARG)]
    named = next((other for other in found if other), name)
    return f"--{named.replace('_', '-')}"


def _positional(hint: object) -> bool:
    """Tell whether a field is a positional argument."""
    return _POSITIONAL in typing.get_args(hint)[1:]


def _suggestion(word: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"


def _sentence(cls: type) -> str:
    """Return the first sentence of a command's description."""
    return (cls.__doc__ or "").strip().splitlines()[0].removesuffix(".")
