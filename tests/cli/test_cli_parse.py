from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, make_dataclass
from pathlib import Path
from typing import Annotated

import pytest
from cli_tools import Capture, refuse

from helpers.members import for_all
from mrvae.cli import COMMANDS, main
from mrvae.cli.attack import Attack
from mrvae.cli.command import Answer, Command, Stopped, stopped_early
from mrvae.cli.compress import Compress
from mrvae.cli.declaration import Option, parameters
from mrvae.cli.decompress import Decompress
from mrvae.cli.describe import Describe
from mrvae.cli.options import Json
from mrvae.cli.parse import parse
from mrvae.cli.reproduce import Reproduce
from mrvae.cli.sample import Sample
from mrvae.cli.train import Train
from mrvae.training import Diverged, Failed, Interrupted, OutOfMemory


@dataclass(frozen=True)
class Shares:
    """Answer nothing."""

    share: Annotated[int, Option("such as 50 %")] = 7
    json: Json = False

    def run(self) -> Answer:
        return Answer({}, "")


@for_all(
    "arguments",
    [
        ["steps=5", "width=8", "--out", "x", "--resume"],
        ["--out", "x", "--resume", "steps=5", "width=8"],
        ["steps=5", "--out", "x", "width=8", "--resume"],
        ["--resume", "steps=5", "--out=x", "width=8"],
    ],
)
def test_options_and_overrides_come_in_any_order(arguments: list[str]) -> None:
    expected = Train("digits-vdvae", ("steps=5", "width=8"), out=Path("x"), resume=True)
    assert parse(COMMANDS, ["train", "digits-vdvae", *arguments]) == expected
    assert parse(COMMANDS, ["train", *arguments[-1:], "digits-vdvae"]) is not None


@for_all(
    ("arguments", "expected"),
    [
        (["sample", "r", "--temperature", "0.5"], Sample(Path("r"), temperature=(0.5,))),
        (["sample", "r", "--temperature=1,0.9"], Sample(Path("r"), temperature=(1.0, 0.9))),
        (["sample", "--mean", "r"], Sample(Path("r"), mean=True)),
        (["sample", "r", "--out", "a b.png"], Sample(Path("r"), out=Path("a b.png"))),
        (["sample", "r", "--out=a=b.png"], Sample(Path("r"), out=Path("a=b.png"))),
        (["sample", "r", "--n=1", "--n", "2"], Sample(Path("r"), n=2)),
        (["attack", "r", "--optimizer", "published"], Attack(Path("r"), optimizer="published")),
        (
            ["reproduce", "p", "i", "--only", "x1,r5", "--data_dir", "d"],
            Reproduce("p", "i", only=("x1", "r5"), data_dir=Path("d")),
        ),
        (
            ["decompress", "--run", "r", "f", "--out=o"],
            Decompress(Path("f"), out=Path("o"), run_path=Path("r")),
        ),
        (
            ["compress", "r", "a.png", "--keep", "2", "b.png", "--out", "f"],
            Compress(Path("r"), (Path("a.png"), Path("b.png")), out=Path("f"), keep=2),
        ),
        (
            ["describe", "r", "--precision=bfloat16", "k=v"],
            Describe("r", ("k=v",), precision="bfloat16"),
        ),
    ],
)
def test_values_are_read_by_the_type_of_their_field(
    arguments: list[str], expected: Command
) -> None:
    assert parse(COMMANDS, arguments) == expected


@for_all("value", ["-1", "-0.5", "-.5", "-1e-3", "-inf"])
@for_all("joined", [True, False])
def test_a_negative_number_is_a_value_and_no_option(value: str, joined: bool) -> None:
    given = [f"--radius={value}"] if joined else ["--radius", value]
    for arguments in (["r", *given], [*given, "r"]):
        assert parse(COMMANDS, ["attack", *arguments]) == Attack(Path("r"), radius=float(value))


MISTAKES: list[tuple[list[str], list[str]]] = [
    ([], ["give a command: recipes, models, describe, train", "mrvae --help"]),
    (["trian"], ["no command 'trian'", "did you mean train?", "mrvae --help"]),
    (["zzzz"], ["no command 'zzzz'", "there are recipes, models, describe, train"]),
    (["--verbose"], ["no command '--verbose'"]),
    # what must be given
    (["reproduce", "falck2022"], ["required: ITEM"]),
    (["inspect", "r"], ["required: {latents,partial,norms,wavelets}"]),
    (["compress", "r", "a.png"], ["required: --out"]),
    (["compress", "r", "--out", "f"], ["required: IMAGE"]),
    # options that do not exist, wherever they stand
    (["train", "digits-vdvae", "--stpes", "3"], ["no option --stpes", "did you mean --steps?"]),
    (["train", "--stpes=3"], ["no option --stpes", "did you mean --steps?"]),
    (
        ["train", "digits-vdvae", "--zzzz", "3"],
        ["no option --zzzz", "there are --data, --scale, --out, --steps"],
    ),
    (["sample", "r", "--temp", "1"], ["no option --temp", "did you mean --temperature?"]),
    (["sample", "-n", "5", "r"], ["no option -n", "did you mean --n?"]),
    (["sample", "r", "-5"], ["no option -5"]),
    (["inspect", "r", "--lmit", "5", "latents"], ["no option --lmit", "did you mean --limit?"]),
    # values that are missing, or too many
    (["train", "digits-vdvae", "--steps"], ["--steps needs a value", "a whole number"]),
    (["train", "digits-vdvae", "--out", "--resume"], ["--out needs a value", "a path"]),
    (["sample", "r", "more"], ["unrecognized arguments: more"]),
    (["sample", "r", "--json=yes"], ["--json", "'yes'"]),
    # values of another type
    (["train", "r", "--steps", "1e3"], ["--steps", "expected a whole number, found '1e3'"]),
    (["train", "r", "--seed", "x"], ["--seed", "expected a whole number, found 'x'"]),
    (["train", "r", "--seed="], ["--seed", "expected a whole number, found ''"]),
    (["attack", "r", "--radius", "much"], ["--radius", "expected a number, found 'much'"]),
    (["sample", "r", "--temperature", "1;2"], ["--temperature", "a number, or several", "'1;2'"]),
    # values that are no choice
    (["inspect", "r", "latnets"], ["latents, partial, norms or wavelets", "'latnets'"]),
    (["attack", "r", "--split", "tset"], ["--split", "train, validation or test", "'tset'"]),
    (["describe", "r", "--precision", "fp8"], ["--precision", "float32 or bfloat16", "'fp8'"]),
]


@for_all(("arguments", "parts"), MISTAKES)
def test_a_mistake_is_one_line_that_names_it_and_the_way_out(
    capsys: Capture, arguments: list[str], parts: list[str]
) -> None:
    line = refuse(capsys, *arguments)
    command = [name for name in arguments[:1] if name in COMMANDS]
    way_out = " ".join(["mrvae", *command, "--help"])
    assert [part for part in [*parts, way_out] if part not in line] == []


def test_help_names_every_command_and_its_sentence(capsys: Capture) -> None:
    assert main(["--help"]) == 0
    help_text = capsys.readouterr().out
    for name, cls in COMMANDS.items():
        assert f"  {name} " in help_text
        assert (cls.__doc__ or "").splitlines()[0].rstrip(".") in help_text
    assert max(map(len, help_text.splitlines())) <= 100


@for_all("name", COMMANDS)
def test_every_command_explains_every_parameter_on_one_screen(name: str, capsys: Capture) -> None:
    assert main([name, "--help"]) == 0
    text = capsys.readouterr().out
    lines = text.splitlines()
    assert lines[0].startswith(f"usage: mrvae {name} ")
    assert "None" not in text
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 100
    flowing = " ".join(text.split())
    for parameter in parameters(COMMANDS[name]):
        start = f"{parameter.flag} {parameter.metavar}".strip()
        assert f" {start} {' '.join(parameter.help.split())}" in flowing


def test_help_shows_defaults_choices_and_what_must_be_given(capsys: Capture) -> None:
    main(["attack", "--help"])
    text = capsys.readouterr().out
    assert "on [0, 1] (default: 0.1)" in text
    assert "--split {train,validation,test}" in text
    main(["compress", "--help"])
    text = capsys.readouterr().out
    assert text.startswith("usage: mrvae compress --out PATH [OPTIONS] RUN IMAGE…\n")
    assert "file to write (required)" in text


@for_all("arguments", [["-h"], ["r", "--help"], ["--zzz", "--n", "x", "--help"]])
def test_help_is_printed_wherever_it_is_asked_for(capsys: Capture, arguments: list[str]) -> None:
    assert main(["sample", "--help"]) == 0
    expected = capsys.readouterr()
    assert main(["sample", *arguments]) == 0
    assert capsys.readouterr() == expected
    assert main(["--zzz", "--help"]) == 0
    assert capsys.readouterr().out.startswith("usage: mrvae COMMAND")


def test_a_percent_sign_in_a_help_text_stays() -> None:
    assert "50 % (default: 7)" in str(parse({"shares": Shares}, ["shares", "--help"]))


@for_all("hint", [int, Annotated[int, "a word"], Annotated[complex, Option("z")]])
def test_a_field_that_is_not_declared_is_an_error_of_the_program(hint: object) -> None:
    with pytest.raises(TypeError, match=r"annotate it|cannot be read"):
        parameters(make_dataclass("Undeclared", [("field", hint)]))


def test_version(capsys: Capture) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("mrvae 0.")


@for_all(
    "arguments",
    [["--help"], ["--version"], ["recipes"], ["train", "--help"], ["sample", "r", "--n", "0"]],
)
def test_what_needs_no_torch_does_not_import_it(arguments: list[str]) -> None:
    program = (
        f"import sys; from mrvae.cli import main; main({arguments!r});"
        "heavy = ('torch', 'numpy', 'matplotlib', 'accelerate', 'PIL');"
        "print([m for m in heavy if m in sys.modules])"
    )
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


@dataclass(frozen=True)
class Noisy:
    """Print what a library might, and answer."""

    json: Json = False

    def run(self) -> Answer:
        print("loading")
        return Answer({"value": 1}, "one")


@for_all(("more", "out"), [([], "one\n"), (["--json"], '{"value": 1}\n')])
def test_nothing_but_the_answer_goes_to_stdout(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, more: list[str], out: str
) -> None:
    monkeypatch.setitem(COMMANDS, "noisy", Noisy)
    assert main(["noisy", *more]) == 0
    assert capsys.readouterr() == (out, "loading\n")


FULL = "mrvae: x.png: No space left on device; what was there before is unchanged: "
FULL += "free space, and run the command again\n"


@for_all(
    ("problem", "line", "code"),
    [
        (ValueError("a\n  b"), "mrvae: a b\n", 2),
        (PermissionError(13, "Permission denied", "x/y"), "mrvae: x/y: Permission denied\n", 2),
        (OSError(28, "No space left on device", "x.png"), FULL, 1),
        (KeyboardInterrupt(), "mrvae: interrupted\n", 130),
        (Stopped("stopped after step 3", 143), "mrvae: stopped after step 3\n", 143),
    ],
)
def test_every_end_has_its_line_and_code(
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
    problem: BaseException,
    line: str,
    code: int,
) -> None:
    def fail(self: Noisy) -> Answer:
        raise problem

    monkeypatch.setattr(Noisy, "run", fail)
    monkeypatch.setitem(COMMANDS, "noisy", Noisy)
    assert main(["noisy"]) == code
    assert capsys.readouterr() == ("", line)


@for_all(
    ("end", "code", "on_all_processes"),
    [
        (Interrupted("saved after step 3", 2), 130, True),
        (Interrupted("saved after step 3", 15), 143, True),
        (Diverged("lower the rate"), 1, True),
        (OutOfMemory("lower the batch"), 2, False),
        (Failed("cannot save"), 1, False),
    ],
)
def test_a_training_that_ends_early_has_its_line_and_code(
    end: Exception, code: int, on_all_processes: bool
) -> None:
    with pytest.raises(Stopped) as stop, stopped_early():
        raise end
    assert (str(stop.value), stop.value.code, stop.value.on_all_processes) == (
        str(end),
        code,
        on_all_processes,
    )


def test_a_reader_that_leaves_early_is_no_mistake() -> None:
    command = [sys.executable, "-m", "mrvae", "recipes", "--json"]
    with subprocess.Popen(  # noqa: S603
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 0
