"""Commands on a model of signals: from WAV files to WAV files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from cli_tools import Capture, ask
from PIL import Image

from mrvae.cli import main
from mrvae.data.signals.wav import read_wav

SMALL = ("encoder=64d8,8x1", "decoder=8x1,64m8", "width=8", "latent=2", "batch=4")


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture)


def test_train_sample_compress_and_decompress_an_ecg(tmp_path: Path, capsys: Capture) -> None:
    run = tmp_path / "run"
    train = ["train", "ecg-vdvae", *SMALL, "--steps", "2", "--out", str(run), "--quiet"]
    assert main(train) == 0
    assert "signal quantised to 128 bins (linear)" in capsys.readouterr().out
    picture = tmp_path / "samples.png"
    ask(capsys, "sample", run, "--n", 3, "--out", picture)
    ask(capsys, "sample", run, "--n", 3, "--each", tmp_path / "wav")
    files = sorted((tmp_path / "wav").iterdir())
    assert [read_wav(file).samples.shape for file in files] == [(64, 1)] * 3
    with Image.open(picture) as shown:
        assert shown.size[0] > 3 * 320

    coded = ask(capsys, "compress", run, tmp_path / "wav", "--out", tmp_path / "a.mrv")
    assert (coded["images"], coded["pixels"]) == (3, 192)
    out = tmp_path / "out"
    ask(capsys, "decompress", tmp_path / "a.mrv", "--run", run, "--out", out)
    for file in files:
        assert (out / file.name).read_bytes() == file.read_bytes()

    pairs = tmp_path / "pairs"
    ask(capsys, "reconstruct", run, "--n", 2, "--each", pairs, "--out", tmp_path / "r.png")
    names = sorted(path.name for path in pairs.iterdir())
    assert names == [f"{i:04}-{kind}.wav" for i in range(2) for kind in ("image", "reconstruction")]
    measured = ask(capsys, "evaluate", run, "--importance-samples", 2, "--quiet")
    assert measured["images"] == 3


def test_images_are_written_each_as_they_are_in_the_picture(
    tmp_path: Path, capsys: Capture
) -> None:
    from mrvae.reports.image_grid import ImageGrid

    picture, each = tmp_path / "s.png", tmp_path / "each"
    ask(capsys, "sample", "digits-vdvae", "--n", 4, "--out", picture)
    ask(capsys, "sample", "digits-vdvae", "--n", 4, "--each", each)
    grid, whole = ImageGrid(4, 2, 8, 8, 8), np.asarray(Image.open(picture))
    for index, path in enumerate(sorted(each.iterdir())):
        top, left = grid.corner(index)
        image = np.asarray(Image.open(path))
        assert np.array_equal(image, whole[top : top + 64 : 8, left : left + 64 : 8, 0])
    assert index == 3
