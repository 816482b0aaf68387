"""How a command ends where its terminal, its disk or its user's numbers are not as they should."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cli_tools import TINY, Capture, ask, refuse, trained

import mrvae.cli.evaluate
import mrvae.cli.forecast
import mrvae.cli.train
from helpers.members import for_all
from mrvae.cli import main
from mrvae.cli.checks import check_folder, check_output, check_processes
from mrvae.cli.command import Answer
from mrvae.data import load

DIGITS = "digits-vdvae"


def program(*arguments: object) -> list[str]:
    """Return a command line of mrvae."""
    return [sys.executable, "-m", "mrvae", *map(str, arguments)]


def shell(script: str, *arguments: object, **environment: str) -> tuple[int, str, str]:
    """Run a script of a shell whose "$@" is a command line of mrvae."""
    command = ["/bin/sh", "-c", script, "sh", *program(*arguments)]
    done = subprocess.run(  # noqa: S603
        command, capture_output=True, check=False, env=os.environ | environment, timeout=300
    )
    return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode()


# ----------------------------------------------------------------------------------- streams


def test_an_answer_is_shown_in_any_encoding() -> None:
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    code, out, err = shell('"$@"', "describe", "--help", **plain)
    assert (code, err) == (0, "")
    assert "[key=value ...]" in out
    for encoding in ("latin-1", "cp1252"):
        assert shell('"$@"', "train", "--help", PYTHONIOENCODING=encoding)[0] == 0


def test_what_stdout_cannot_take_is_printed_on_stderr() -> None:
    code, _, err = shell('"$@" >/dev/full', "--version")
    assert code == 1
    assert err == "mrvae 0.1.0\nmrvae: stdout cannot be written: No space left on device\n"
    assert shell('"$@" >&-', "recipes") == (0, "", "")
    assert shell('"$@" 2>&-', "tarin") == (2, "", "")
    assert shell('"$@" 2>/dev/full', "tarin") == (2, "", "")


@pytest.mark.slow
@for_all("redirection", ["2>/dev/full", "2>&-", "2>&1 >/dev/null | head -c 1"])
def test_training_goes_on_without_its_terminal(tmp_path: Path, redirection: str) -> None:
    out = tmp_path / "".join(filter(str.isalnum, redirection))
    shell(f'"$@" {redirection}', "train", DIGITS, *TINY, "--steps", 30, "--out", out)
    assert (out / "samples.png").is_file()


class Hostile:
    """Answer with what a hostile file holds."""

    json = False

    def run(self) -> Answer:
        return Answer({}, "a \x1b[31mname\nb", problems=("warning: \x1b]0;title\x07",))


def test_no_escape_sequence_reaches_the_terminal(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mrvae.cli.parse", lambda *_: Hostile())
    assert main(["hostile"]) == 0
    assert capsys.readouterr() == ("a \\x1b[31mname\nb\n", "mrvae: warning: \\x1b]0;title\\x07\n")


@for_all(
    "arguments",
    [
        ["train", "\x1b[31m" + "x" * 5000],
        ["train", DIGITS, "data=\x1b[31m.npz"],
        ["\x1b[31m" + "x" * 5000],
        ["sample", "r", "--n", "-" + "1" * 4000],
        ["sample", "r", "--seed", "1" * 4000],
        ["attack", "r", "--radius", "x" * 100_000],
        ["evaluate", "r", "--estimator", "\x1b[31m" + "x" * 5000],
        ["compress", "r", "a", "--out", "x" * 100_000],
    ],
)
def test_values_in_messages_are_short_and_escaped(capsys: Capture, arguments: list[str]) -> None:
    line = refuse(capsys, *arguments)
    assert line.isprintable()
    assert len(line) <= 2000


INTERRUPTED_AT_IMPORT = """
import os, signal, sys

# A job in the background is started with SIGINT ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)

class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == {name!r}:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupt())
sys.argv[1:] = ["sample", "digits-vdvae", "--out", "/dev/null"]
from mrvae.__main__ import main
raise SystemExit(main())
"""


@for_all("name", ["mrvae.cli", "msgspec", "torch"])
def test_ctrl_c_at_the_start_is_one_line(name: str) -> None:
    command = [sys.executable, "-c", INTERRUPTED_AT_IMPORT.format(name=name)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "mrvae: interrupted\n")


# ----------------------------------------------------------------------------------- outputs


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Return a copy of a run that a test may damage."""
    shutil.copytree(trained(), tmp_path / "run")
    return tmp_path / "run"


def test_no_output_is_an_input_or_a_file_of_a_run(run: Path, tmp_path: Path) -> None:
    picture, link = tmp_path / "a.png", tmp_path / "b.png"
    picture.touch()
    link.symlink_to(picture)
    for path in (picture, link, tmp_path / "." / "a.png"):
        with pytest.raises(ValueError, match="is also an input"):
            check_output(path, [picture])
    (tmp_path / "alias").symlink_to(run)
    for folder in (run, tmp_path / "alias"):
        for name in ("recipe.json", "weights.safetensors", "metrics.jsonl", "state/x"):
            with pytest.raises(ValueError, match="a file of a run"):
                check_output(folder / name)
        check_output(folder / "samples.png")
        with pytest.raises(ValueError, match="in the checkpoints"):
            check_folder(folder / "state" / "pictures")


def test_a_file_that_is_no_file_is_known_before_the_work(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, run: Path
) -> None:
    monkeypatch.setattr("mrvae.cli.runs.open_run", None)
    for path, message in (
        ("/dev/fd/1000", "descriptor 1000 is not open"),
        (run / "metrics.jsonl", "--csv is"),
    ):
        assert message in refuse(capsys, "evaluate", run, "--csv", path)
    out = run / "weights.safetensors"
    assert "a file of a run" in refuse(capsys, "compress", run, "a.png", "--out", out)


def test_a_table_goes_into_a_fifo(capsys: Capture, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    few = ["--limit", 2, "--importance-samples", 1, "--quiet"]
    ask(capsys, "evaluate", trained(), *few, "--csv", fifo)
    assert os.read(reader, 10_000).startswith(b"index,nats")
    os.close(reader)
    assert fifo.is_fifo()


def test_a_result_survives_a_table_that_cannot_be_written(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device", "x.csv")

    monkeypatch.setattr(mrvae.cli.evaluate, "write_table", full)
    few = ["--limit", "2", "--importance-samples", "1", "--quiet"]
    assert main(["evaluate", str(trained()), *few, "--csv", str(tmp_path / "x.csv")]) == 1
    out, err = capsys.readouterr()
    assert "2 images, test" in out
    assert err == "mrvae: --csv was not written: x.csv: No space left on device\n"


def test_a_picture_that_cannot_be_drawn_is_a_warning_after_the_result(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, run: Path
) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise RuntimeError("no such font")

    monkeypatch.setattr("mrvae.cli.inspect.write_figure", fail)
    monkeypatch.setattr(mrvae.cli.train, "write_figure", fail)
    out = tmp_path / "l.png"
    few = ["--limit", 2, "--draws", 1]
    assert ask(capsys, "inspect", trained(), "latents", *few, "--out", out)["out"] is None
    (run / "loss.png").unlink()
    command = ["train", DIGITS, *TINY, "--steps", "6", "--out", str(run), "--resume"]
    assert main(command) == 0
    seen = capsys.readouterr()
    assert "trained 6 steps" in seen.out
    assert seen.err == f"mrvae: warning: {run / 'loss.png'} was not drawn: no such font\n"


def test_a_mistake_leaves_no_folder(capsys: Capture, tmp_path: Path) -> None:
    out = tmp_path / "out"
    refuse(capsys, "reproduce", "falck2022", "figure5", "--data-dir", "nowhere", "--out", out)
    assert not out.exists()


# ----------------------------------------------------------------------------------- numbers


@for_all(
    ("arguments", "message"),
    [
        (["sample", "--n", 200_000], "holds at most 30,276 images of 8×8 pixels"),
        (["evaluate", "--importance-samples", 10**12], "at most 1,000,000"),
        (["evaluate", "--context-samples", 10**12], "at most 1,000,000"),
        (["evaluate", "--context-samples", 2], "has no context; leave it out"),
        (["inspect", "latents", "--draws", 10**9], "at most 100,000"),
        (["attack", "--restarts", 10**9], "at most 10,000"),
        (["attack", "--restarts", 10_000, "--images", 397], "fit into memory"),
    ],
)
def test_numbers_that_cannot_be_worked_off_are_refused(
    capsys: Capture,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[object],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mrvae.cli.attack._MOST_BYTES", 1 << 28)
    assert message in refuse(capsys, str(arguments[0]), trained(), *arguments[1:])
    assert list(tmp_path.iterdir()) == []


def test_a_measurement_of_more_than_a_minute_is_announced(capsys: Capture) -> None:
    model = mrvae.load(trained())
    images = load("digits", "test")
    mrvae.cli.forecast.forecast(model, images, 1)
    assert capsys.readouterr().err == ""
    mrvae.cli.forecast.forecast(model, images, 10**7)
    assert capsys.readouterr().err.startswith("mrvae: this takes about ")


@for_all(
    ("environment", "message"),
    [
        ({"WORLD_SIZE": "0"}, "WORLD_SIZE is 0; it must be at least 1"),
        ({"WORLD_SIZE": "many"}, "WORLD_SIZE is 'many'"),
        ({"RANK": "1"}, "RANK is 1 with WORLD_SIZE 1"),
        ({"RANK": "2", "WORLD_SIZE": "2"}, "RANK is 2 with WORLD_SIZE 2"),
    ],
)
def test_processes_that_no_launcher_makes_are_refused(
    capsys: Capture, environment: dict[str, str], message: str
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("WORLD_SIZE", "RANK"):
            patch.delenv(name, raising=False)
        check_processes()
        for name, value in environment.items():
            patch.setenv(name, value)
        with pytest.raises(ValueError, match=message):
            check_processes()
        if environment.get("WORLD_SIZE") != "2":
            assert "no command" in refuse(capsys, "tarin")


def test_one_day_is_not_days(capsys: Capture) -> None:
    step = ask(capsys, "describe", DIGITS, "--batch", 32)["step"]
    rate = step["flops"] * step["steps"] / 86_400
    main(["describe", DIGITS, "--batch", "32", "--device-flops", str(rate)])
    assert "1 day for" in capsys.readouterr().out
