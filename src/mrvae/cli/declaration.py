"""How a command declares its parameters: dataclass fields with a type, a default and a help text.

    run_path: Annotated[Path, Argument("run directory", metavar="RUN")]
    radius: Annotated[float, Option("largest change of a pixel, on [0, 1]")] = 0.1
    quiet: Annotated[bool, Option("show no progress bar")] = False

The type says how the value is read: int, float, str, Path, one of a ``Literal``, or any of these
``| None``. A bool is a plain flag. A tuple is any number of values: as an argument one after the
other, as an option with commas between. A field without a default must be given.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from argparse import ArgumentTypeError
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mrvae.recipes.validation import shown

Text = str | Callable[[], str]


@dataclass(frozen=True)
class Option:
    """A field that is given as ``--name value``.

    Attributes:
        help: one line; a function if the line takes time to make.
        metavar: what help calls the value; by default it follows from the type.
        name: the option's name without dashes; by default the field's name.
    """

    help: Text
    metavar: str | None = None
    name: str | None = None


@dataclass(frozen=True)
class Argument:
    """A field that is given by its position; ``help`` and ``metavar`` as in :class:`Option`."""

    help: Text
    metavar: str | None = None


@dataclass(frozen=True)
class Reader:
    """How one value is read from the command line.

    Attributes:
        expected: what a value is, for error messages.
        metavar: what a value is called in help.
        convert: makes the value; a ``ValueError`` refuses the text.
    """

    expected: str
    metavar: str
    convert: Callable[[str], object]

    def __call__(self, text: str) -> object:
        """Return the value of a text, or refuse it in the way of argparse."""
        try:
            return self.convert(text)
        except ValueError:
            raise ArgumentTypeError(f"expected {self.expected}, found {shown(text)}") from None


@dataclass(frozen=True)
class Parameter:
    """One field of a command, and how it is given.

    Attributes:
        field: its name in the dataclass.
        declared: its help, and whether it is an option or an argument.
        reader: how a value is read; none for a flag.
        repeated: an argument that takes any number of values.
        default: its default; ``dataclasses.MISSING`` if it must be given.
    """

    field: str
    declared: Option | Argument
    reader: Reader | None
    repeated: bool
    default: object

    @property
    def flag(self) -> str:
        """The option with its dashes; empty for an argument."""
        if isinstance(self.declared, Argument):
            return ""
        return f"--{self.declared.name or self.field.replace('_', '-')}"

    @property
    def metavar(self) -> str:
        """What help calls the value."""
        return self.declared.metavar or (self.reader.metavar if self.reader else "")

    @property
    def required(self) -> bool:
        """Whether it must be given."""
        return self.default is dataclasses.MISSING

    @property
    def help(self) -> str:
        """The help text, with the default; what no value means is in the text itself."""
        text = self.declared.help if isinstance(self.declared.help, str) else self.declared.help()
        values = self.default if isinstance(self.default, tuple) else (self.default,)
        if self.required:
            return f"{text} (required)" if self.flag else text
        if self.reader is None or values in ((), (None,)):
            return text
        return f"{text} (default: {','.join(map(str, values))})"


def parameters(command: type) -> list[Parameter]:
    """Return the parameters of a command, in the order of its fields.

    Raises:
        TypeError: if a field is not declared as one, or no value of its type can be read.

    """
    hints = typing.get_type_hints(command, include_extras=True)
    return [_parameter(field, hints[field.name]) for field in dataclasses.fields(command)]


def _parameter(field: dataclasses.Field[object], hint: object) -> Parameter:
    for declared in typing.get_args(hint)[1:]:
        if isinstance(declared, Option | Argument):
            break
    else:
        raise TypeError(f"{field.name} is {hint}; annotate it with an Option or an Argument")
    plain = typing.get_args(hint)[0]
    repeated = isinstance(declared, Argument) and typing.get_origin(plain) is tuple
    value = typing.get_args(plain)[0] if repeated else plain
    reader = None if value is bool else reader_of(value)
    return Parameter(field.name, declared, reader, repeated, field.default)


def reader_of(hint: object) -> Reader:
    """Return how a value of a type is read.

    Example:
        >>> reader_of(tuple[float, ...])("1,0.5")
        (1.0, 0.5)

    """
    if hint in _PLAIN:
        return _PLAIN[hint]
    parts = typing.get_args(hint)
    match typing.get_origin(hint):
        case types.UnionType | typing.Union:
            (only,) = (part for part in parts if part is not type(None))
            return reader_of(only)
        case typing.Literal:
            return _choice(parts)
        case builtin if builtin is tuple:
            return _several(reader_of(parts[0]))
    raise TypeError(f"a value of type {hint} cannot be read from the command line")


_PLAIN: dict[object, Reader] = {
    int: Reader("a whole number", "N", int),
    float: Reader("a number", "R", float),
    str: Reader("a name", "NAME", str),
    Path: Reader("a path", "PATH", Path),
}


def _choice(choices: tuple[str, ...]) -> Reader:
    def convert(text: str) -> str:
        if text not in choices:
            raise ValueError(text)
        return text

    *others, last = choices
    expected = f"{', '.join(others)} or {last}" if others else last
    return Reader(expected, f"{{{','.join(choices)}}}", convert)


def _several(one: Reader) -> Reader:
    return Reader(
        f"{one.expected}, or several with commas between",
        f"{one.metavar}[,{one.metavar}…]",
        lambda text: tuple(one.convert(part) for part in text.split(",")),
    )
