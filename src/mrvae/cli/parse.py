"""From arguments to a command: argparse, made from the fields of the command's dataclass.

Options and positional arguments come in any order, so that ``key=value`` can stand on both sides of
an option. Whatever cannot be read is a ``ValueError`` of one line.
"""

from __future__ import annotations

import argparse
import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn

from mrvae.cli.command import Command
from mrvae.cli.declaration import Parameter, parameters
from mrvae.recipes.validation import shown
from mrvae.suggestions import did_you_mean

_FORMAT = functools.partial(argparse.RawDescriptionHelpFormatter, width=100, max_help_position=26)


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


def parse(commands: Mapping[str, type[Command]], arguments: Sequence[str]) -> Command | str:
    """Return the command that the arguments ask for, or the help text if they ask for help.

    Raises:
        ValueError: if they do not make a command; the message is one line.

    """
    if not arguments:
        raise ValueError(f"give a command: {', '.join(commands)}; mrvae --help explains them")
    name, *rest = arguments
    if name not in commands:
        hint = did_you_mean(name, commands)
        raise ValueError(f"there is no command {shown(name)}; {hint} (see mrvae --help)")
    build: Callable[..., Command] = commands[name]
    parser = _Parser(f"mrvae {name}", commands[name])
    if "--help" in rest or "-h" in rest:
        return parser.format_help().rstrip("\n")
    return build(**parser.read(rest))


class _Parser(argparse.ArgumentParser):
    """The parser of one command, whose refusals are errors of one line."""

    def __init__(self, prog: str, command: type) -> None:
        self.parameters = parameters(command)
        needed = [f"{p.flag} {p.metavar}" for p in self.parameters if p.flag and p.required]
        places = [p.metavar for p in self.parameters if not p.flag]
        super().__init__(
            prog,
            usage=" ".join([prog, *needed, "[OPTIONS]", *places]),
            description=inspect.cleandoc(command.__doc__ or ""),
            formatter_class=_FORMAT,
            allow_abbrev=False,
        )
        for parameter in self.parameters:
            self._declare(parameter)

    def error(self, message: str) -> NoReturn:
        """Refuse the arguments; argparse would print its usage and exit."""
        raise ValueError(f"{message} (see {self.prog} --help)")

    def read(self, arguments: Sequence[str]) -> dict[str, object]:
        """Return the value of every field."""
        values = vars(self.parse_intermixed_args(self._checked(arguments)))
        return {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}

    def _declare(self, parameter: Parameter) -> None:
        """Add one field of the command."""
        # argparse fills in what follows a percent sign.
        text = parameter.help.replace("%", "%%")
        name, metavar, read = parameter.field, parameter.metavar, parameter.reader
        default = None if parameter.required else parameter.default
        if read is None:
            self.add_argument(parameter.flag, dest=name, action="store_true", help=text)
        elif parameter.flag:
            self.add_argument(
                parameter.flag,
                dest=name,
                metavar=metavar,
                type=read,
                default=default,
                required=parameter.required,
                help=text,
            )
        elif parameter.repeated:
            nargs = "+" if parameter.required else "*"
            self.add_argument(
                name, metavar=metavar, type=read, nargs=nargs, default=default, help=text
            )
        elif parameter.required:
            self.add_argument(name, metavar=metavar, type=read, help=text)
        else:
            self.add_argument(
                name, metavar=metavar, type=read, nargs="?", default=default, help=text
            )

    def _checked(self, arguments: Sequence[str]) -> list[str]:
        """Refuse unknown options and missing values, and write options as ``--name=value``.

        argparse would report missing positional arguments first, and take -1e-3 for an option.
        """
        readers = {p.flag: p.reader for p in self.parameters if p.flag}
        tokens: list[str] = []
        for token in arguments:
            flag, equals, value = token.partition("=")
            flag = flag.replace("_", "-")
            if tokens and readers.get(tokens[-1]) and not token.startswith("--"):
                tokens[-1] = f"{tokens[-1]}={token}"
            elif not token.startswith("-"):
                tokens.append(token)
            elif flag in readers:
                tokens.append(f"{flag}{equals}{value}")
            else:
                self.error(f"there is no option {flag}; {did_you_mean(flag, readers)}")
        for token in tokens:
            reader = readers.get(token)
            if reader:
                self.error(f"{token} needs a value: {reader.expected}")
        return tokens


def _sentence(cls: type) -> str:
    """Return the first sentence of a command's description."""
    return (cls.__doc__ or "").strip().splitlines()[0].removesuffix(".")
