"""``mrvae restore``: what it writes, what it compares, and what it refuses."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from cli_tools import Capture, ask, refuse, trained
from PIL import Image

from mrvae.cli.coding_bar import CodingBar
from mrvae.data import load
from mrvae.resolution import Ladder


@pytest.fixture
def digits(tmp_path: Path) -> Path:
    """Two test digits as pixels, as pictures, half as large, and masks."""
    x = load("digits", "test").first(2).tensor()
    np.save(tmp_path / "digits.npy", x.numpy())
    np.save(tmp_path / "small.npy", Ladder(4, 1).project(x.double() / 16).numpy())
    np.save(tmp_path / "mask.npy", np.arange(64).reshape(8, 8) < 40)
    np.save(tmp_path / "square.npy", np.zeros((5, 5), np.uint8))
    np.save(tmp_path / "whole.npy", np.ones((8, 8), np.uint8))
    np.save(tmp_path / "zero.npy", np.zeros((3, 3)))
    np.save(tmp_path / "objects.npy", np.array([{}]), allow_pickle=True)
    (tmp_path / "pictures").mkdir()
    for name, image in zip("ab", x, strict=True):
        grey = (image[0].double() * 255 / 16).round().to(torch.uint8).numpy()
        Image.fromarray(grey).save(tmp_path / "pictures" / f"{name}.png")
    return tmp_path


def pixels(path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    with Image.open(path) as picture:
        return np.asarray(picture)


def test_pictures_are_filled_in_and_what_is_known_stays(digits: Path, capsys: Capture) -> None:
    out, mask = digits / "out", np.load(digits / "mask.npy")
    given = ("restore", trained(), digits / "pictures", "inpaint", "--mask", digits / "mask.npy")
    options = ("--n", 2, "--steps", 6, "--truth", digits / "pictures", "--out", out)
    values = ask(capsys, *given, *options)
    names = [f"{image}{end}" for image in "ab" for end in ("-draw1", "-draw2", "-mean", "")]
    assert sorted(path.stem for path in out.iterdir()) == sorted(names)
    for image in "ab":
        before = pixels(digits / "pictures" / f"{image}.png")
        draws = [pixels(out / f"{image}-draw{number}.png") for number in (1, 2)]
        for after in draws:
            assert np.array_equal(after[mask], before[mask])
        assert not np.array_equal(draws[0], draws[1])
    assert set(values["psnr"]) == {"mean", "draw", "biharmonic"}
    first = pixels(out / "a-draw1.png")
    ask(capsys, *given, *options)
    assert np.array_equal(pixels(out / "a-draw1.png"), first)


def test_every_task_makes_its_own_damage(digits: Path, capsys: Capture) -> None:
    """Of whole images, and of damaged ones; the mean of a block is the small picture's pixel."""
    out = digits / "out"
    for task, options, baseline in (
        ("denoise", ("--sigma", 0.2), "total variation, best weight"),
        ("deblur", ("--kernel", "gaussian:0.6"), "Wiener, best balance"),
        ("upscale", ("--factor", 2), "bicubic"),
    ):
        values = ask(
            capsys, "restore", trained(), digits / "digits.npy", task, *options,
            "--simulate", "--n", 1, "--steps", 3, "--out", out,
        )  # fmt: skip
        assert set(values["psnr"]) == {"mean", "draw", baseline}
        assert values["images"] == 2
    ask(
        capsys, "restore", trained(), digits / "small.npy", "upscale", "--factor", 2,
        "--n", 1, "--steps", 3, "--out", out,
    )  # fmt: skip
    made = torch.from_numpy(pixels(out / "small-0-draw1.png").copy()).double() / 255
    small = torch.from_numpy(np.load(digits / "small.npy"))[0, 0]
    inside = (made > 0) & (made < 1)
    whole = Ladder(4, 1).project(inside.double()) == 1
    difference = (Ladder(4, 1).project(made) - small)[whole]
    assert len(difference) > 0
    assert float(difference.abs().max()) < 1 / 255


def test_mistakes_are_refused_in_one_line(digits: Path, capsys: Capture) -> None:
    images, folder = digits / "digits.npy", digits / "out"
    for arguments, expected in (
        (("inpaint",), "inpaint needs --mask"),
        (("inpaint", "--mask", digits / "square.npy"), "has 5×5 pixels; the model's images have"),
        (("inpaint", "--mask", digits / "whole.npy"), "hides no pixel"),
        (("inpaint", "--mask", digits / "objects.npy"), "is no .npy file of numbers"),
        (("upscale", "--factor", 3), "factor is 3; the ladder halves"),
        (("upscale", "--factor", 16), "must divide"),
        (("upscale", "--factor", 2), "expected grey of 4×4"),
        (("upscale", "--factor", 2, "--context"), "no context that a small picture determines"),
        (("denoise", "--sigma", 0), "--sigma is 0.0; give a number above 0"),
        (("denoise", "--sigma", "nan"), "--sigma is nan"),
        (("denoise", "--sigma", 1, "--factor", 2), "--factor is not an option of denoise"),
        (("deblur", "--kernel", digits / "no.npy"), "no.npy"),
        (("deblur", "--kernel", "box:3"), "--kernel is box:3"),
        (("deblur", "--kernel", "gaussian:x"), "expected gaussian:S"),
        (("deblur", "--kernel", "gaussian:-1"), "standard deviation is positive"),
        (("deblur", "--kernel", digits / "zero.npy"), "it must be positive"),
        (("sharpen",), "expected inpaint, upscale, denoise or deblur"),
    ):
        line = refuse(capsys, "restore", trained(), images, *arguments, "--out", folder)
        assert expected in line, (arguments, line)
    assert not folder.exists()


def test_a_bar_is_shown_on_terminals_only() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for stream, quiet, seen in ((Terminal(), False, True), (Terminal(), True, False),
                                (io.StringIO(), False, False)):  # fmt: skip
        with CodingBar("restore", 20, quiet, after=0.0, stream=stream, unit="steps") as bar:
            bar(10)
        assert ("10/20" in stream.getvalue()) == seen
