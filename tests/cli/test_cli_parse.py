from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from cli_tools import Capture, refuse

from mrvae.cli import COMMANDS, main
from mrvae.cli.answer import Answer, Stopped
from mrvae.cli.parse import parse
from mrvae.cli.sample import Sample
from mrvae.cli.train import Train


@pytest.mark.parametrize(
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


def test_temperatures_are_one_or_several() -> None:
    assert parse(COMMANDS, ["sample", "r", "--temperature", "0.5"]) == Sample(
        Path("r"), temperature=(0.5,)
    )
    assert parse(COMMANDS, ["sample", "r", "--temperature=1,0.9"]) == Sample(
        Path("r"), temperature=(1.0, 0.9)
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give a command: recipes, describe, train"),
        (["trian"], "there is no command 'trian'; did you mean train?"),
        (["zzzz"], "there is no command 'zzzz'; there are recipes, describe, train"),
        (["--verbose"], "there is no command '--verbose'"),
        (["train"], "Missing from mrvae train: RECIPE"),
        (["inspect", "r"], "Missing from mrvae inspect: {latents,partial,norms,wavelets}"),
        (["inspect", "r", "latnets"], "invalid choice 'latnets'"),
        (["train", "digits-vdvae", "--stpes", "3"], "no option --stpes; did you mean --steps?"),
        (["train", "digits-vdvae", "--zzzz", "3"], "no option --zzzz; there are --out, --steps"),
        (["train", "digits-vdvae", "--steps"], "--steps needs a value"),
        (["train", "digits-vdvae", "--out", "--resume"], "--out needs a value"),
        (["train", "digits-vdvae", "--steps", "1e3"], "--steps: expected a whole number"),
        (["train", "digits-vdvae", "--seed", "x"], "--seed: expected a whole number, found 'x'"),
        (["sample", "r", "--temperature", "warm"], "expected a number, or numbers like"),
        (["sample", "r", "more"], "Unrecognized options: more"),
        (["reconstruct", "r", "--split", "tset"], "invalid choice 'tset'"),
    ],
)
def test_a_mistake_is_one_line(capsys: Capture, arguments: list[str], message: str) -> None:
    assert message in refuse(capsys, *arguments)


def test_help_names_every_command_and_its_sentence(capsys: Capture) -> None:
    assert main(["--help"]) == 0
    help_text = capsys.readouterr().out
    for name, cls in COMMANDS.items():
        assert f"  {name} " in help_text
        assert (cls.__doc__ or "").splitlines()[0].rstrip(".") in help_text
    assert max(map(len, help_text.splitlines())) <= 100


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_every_option(name: str, capsys: Capture) -> None:
    assert main([name, "--help"]) == 0
    help_text = capsys.readouterr().out
    assert f"usage: mrvae {name}" in help_text
    assert "--json" in help_text
    assert "None" not in help_text


def test_version(capsys: Capture) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("mrvae 0.")


@pytest.mark.parametrize(
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

    json: bool = False

    def run(self) -> Answer:
        print("loading")
        return Answer({"value": 1}, "one")


@pytest.mark.parametrize(("more", "out"), [([], "one\n"), (["--json"], '{"value": 1}\n')])
def test_nothing_but_the_answer_goes_to_stdout(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, more: list[str], out: str
) -> None:
    monkeypatch.setitem(COMMANDS, "noisy", Noisy)
    assert main(["noisy", *more]) == 0
    assert capsys.readouterr() == (out, "loading\n")


@pytest.mark.parametrize(
    ("problem", "line", "code"),
    [
        (ValueError("a\n  b"), "mrvae: a b\n", 2),
        (PermissionError(13, "Permission denied", "x/y"), "mrvae: x/y: Permission denied\n", 2),
        (OSError(28, "No space left on device"), "mrvae: No space left on device\n", 2),
        (KeyboardInterrupt(), "mrvae: interrupted\n", 130),
        (Stopped("stopped after step 3", 143), "mrvae: stopped after step 3\n", 143),
    ],
    ids=["value", "permission", "space", "ctrl-c", "stopped"],
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
