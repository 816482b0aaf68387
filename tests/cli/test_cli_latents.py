from __future__ import annotations

from pathlib import Path

import numpy as np
from cli_tools import Capture, ask, lively, refuse, trained
from PIL import Image

import mrvae
from mrvae.cli import main
from mrvae.data import load
from mrvae.reports.image_grid import grey


def read(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture)


def test_pictures_go_through_a_file_of_latents(capsys: Capture, tmp_path: Path) -> None:
    digits = load("digits", "test").first(3).tensor()
    (tmp_path / "in" / "sub").mkdir(parents=True)
    for name, image in zip(("b", "a", "sub/a"), digits, strict=True):
        Image.fromarray(image[0].numpy()).save(tmp_path / "in" / f"{name}.png")
    file, out = tmp_path / "z.npz", tmp_path / "out"
    values = ask(capsys, "encode", lively(), tmp_path / "in", "--out", file)
    assert (values["images"], len(values["latents"])) == (3, 3)
    with np.load(file, allow_pickle=False) as held:
        assert list(held["names"]) == ["a.png", "b.png", "sub/a.png"]
    written = ask(capsys, "decode", lively(), file, "--out", out)
    assert [Path(path).name for path in written["images"]] == ["a.png", "b.png", "sub_a.png"]
    expected = mrvae.load(lively()).likelihood(mrvae.load(lively()).encode(digits)).mean()
    for name, mean in zip(("b", "a", "sub_a"), expected.detach(), strict=True):
        close = read(out / f"{name}.png").astype(int) - grey(mean[0].clamp(0, 16).numpy(), 17)
        # The layout of memory changes rounding.
        assert abs(close).max() <= 1
    assert "exists" in refuse(capsys, "decode", lively(), file, "--out", out)
    coarse = ask(capsys, "encode", lively(), tmp_path / "in", "--layers", "1", "--out", file)
    assert coarse["latents"] == [{"latent": 1, "shape": list(mrvae.load(lively()).shapes[0])}]
    capsys.readouterr()
    other = tmp_path / "other"
    assert main(["decode", str(trained()), str(file), "--out", str(other), "--quiet"]) == 0
    assert "was encoded by a model with other weights" in capsys.readouterr().err


def test_a_larger_picture_is_reconstructed_by_tiles(capsys: Capture, tmp_path: Path) -> None:
    """A picture of one tile is its reconstruction; of several, every pixel blends its tiles."""
    digit = load("digits", "test").first(1).tensor()
    model = mrvae.load("digits-vdvae")
    whole = model.likelihood(model.encode(digit)).mean().detach()[0, 0].clamp(0, 16)
    out, single, wide = tmp_path / "out.png", tmp_path / "1.png", tmp_path / "2.png"
    Image.fromarray(digit[0, 0].numpy()).save(single)
    Image.fromarray(np.tile(digit[0, 0].numpy(), (1, 2))).save(wide)
    assert ask(capsys, "reconstruct", "digits-vdvae", single, "--tile", "--out", out)["tiles"] == 1
    assert abs(read(out).astype(int) - grey(whole.numpy(), 17)).max() <= 1
    assert ask(capsys, "reconstruct", "digits-vdvae", wide, "--tile", "--out", out)["tiles"] == 3
    # The outer columns belong to one tile only.
    assert read(out).shape == (8, 16)
    assert abs(read(out)[:, :4].astype(int) - grey(whole[:, :4].numpy(), 17)).max() <= 1
    assert "takes one picture" in refuse(capsys, "reconstruct", "digits-vdvae", "--tile")
    small = tmp_path / "small.png"
    Image.fromarray(np.zeros((4, 9), np.uint8)).save(small)
    assert "do not cover 4" in refuse(capsys, "reconstruct", "digits-vdvae", small, "--tile")


def test_wrong_input_is_refused(capsys: Capture, tmp_path: Path) -> None:
    text = tmp_path / "text.npz"
    text.write_text("no archive")
    for arguments, message in [
        (["encode", trained(), "--out", tmp_path / "z.txt"], "give a name that ends in .npz"),
        (["encode", trained(), "--out", tmp_path / "z.npz", "--layers", "9"], "layer 9 does not"),
        (["encode", trained(), tmp_path / "none", "--out", tmp_path / "z.npz"], "there is no"),
        (["decode", trained(), text, "--out", tmp_path / "out"], "text.npz: cannot be read"),
        (["decode", trained(), text, "--out", tmp_path / "a" / "b"], "does not exist; make it"),
        (["decode", trained(), text, "--out", text], "which is a file; name a folder"),
        (["sample", trained(), "--each", text], "--each is"),
    ]:
        assert message in refuse(capsys, *arguments)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["text.npz"]


def test_single_samples_are_those_of_the_picture(capsys: Capture, tmp_path: Path) -> None:
    folder = tmp_path / "each"
    values = ask(capsys, "sample", trained(), "--n", 3, "--seed", 5, "--each", folder)
    assert values["out"] == str(folder)
    ask(capsys, "sample", trained(), "--n", 3, "--seed", 5, "--out", tmp_path / "all.png")
    picture = read(tmp_path / "all.png")
    singles = [read(folder / f"sample-{number}.png") for number in (1, 2, 3)]
    assert all(single.shape == (8, 8) for single in singles)
    # The first two stand side by side, enlarged eight times, between lines of two pixels.
    assert np.array_equal(picture[2:66:8, 2:66:8, 0], singles[0])
    assert np.array_equal(picture[2:66:8, 68:132:8, 0], singles[1])
