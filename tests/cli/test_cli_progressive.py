from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from cli_tools import Capture, ask, refuse
from PIL import Image

from mrvae.cli import main
from mrvae.compression import read_container
from mrvae.data import load
from mrvae.data.files.image_files import from_tensor

RUN = "digits-vdvae"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return the files of six test digits."""
    folder, digits = tmp_path_factory.mktemp("digits"), load("digits", "test")
    paths = [folder / f"{index}.png" for index in range(6)]
    for path, digit in zip(paths, digits.take(torch.arange(6)), strict=True):
        from_tensor(digit).save(path)
    return paths


def error(folder: Path, pictures: list[Path]) -> float:
    """Return the mean squared error of the pictures that came back."""
    pairs = [(Image.open(folder / path.name), Image.open(path)) for path in pictures]
    return float(np.mean([(np.asarray(a, float) - np.asarray(b, float)) ** 2 for a, b in pairs]))


def test_every_cut_decodes_to_finer_pictures_and_warns(
    capsys: Capture, tmp_path: Path, pictures: list[Path]
) -> None:
    file = tmp_path / "x.mrv"
    values = ask(capsys, "compress", RUN, *pictures, "--out", file, "--progressive")
    assert values["bytes"] == file.stat().st_size
    assert values["pixels"] == 6 * 64
    assert values["bpp"] == 8 * values["bytes"] / values["pixels"]
    assert (values["mode"], values["lossless"]) == ("progressive", True)
    assert values["layers"][-1]["name"] == "pixels"
    data, container = file.read_bytes(), read_container(file)
    errors = []
    for chunks, (start, length) in enumerate(container.places, 1):
        file.write_bytes(data[: start + length + 4])
        out = tmp_path / f"out{chunks}"
        assert main(["decompress", str(file), "--out", str(out)]) == 0
        warned = capsys.readouterr().err
        if chunks < container.header.chunks:
            assert f"warning: {file} was cut after {chunks} of" in warned
            assert warned.count("\n") == 1
        else:
            assert warned == ""
        errors.append(error(out, pictures))
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] == 0 < errors[-2]


def test_a_cut_file_says_so_in_json(capsys: Capture, tmp_path: Path, pictures: list[Path]) -> None:
    file = tmp_path / "x.mrv"
    ask(capsys, "compress", RUN, *pictures, "--out", file, "--progressive", "--no-verify")
    start, length = read_container(file).places[1]
    file.write_bytes(file.read_bytes()[: start + length + 4])
    values = ask(capsys, "decompress", file, "--out", tmp_path / "out")
    assert (values["lossless"], values["chunks"], values["missing"]) == (False, 2, 0)
    file.write_bytes(file.read_bytes()[:-1])
    assert "chunk 1 of" in refuse(capsys, "decompress", file, "--out", tmp_path / "none")


def test_keep_and_max_bpp_make_the_file_shorter(
    capsys: Capture, tmp_path: Path, pictures: list[Path]
) -> None:
    file = tmp_path / "x.mrv"
    kept = ask(capsys, "compress", RUN, *pictures, "--out", file, "--keep", 3)
    assert [layer["name"] for layer in kept["layers"]] == ["latent 2", "latent 3"]
    assert not kept["lossless"]
    assert main(["decompress", str(file), "--out", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().err == ""
    assert 0 < error(tmp_path / "out", pictures) < 12
    same = ask(
        capsys, "compress", RUN, *pictures, "--out", tmp_path / "y.mrv", "--max-bpp", kept["bpp"]
    )
    assert same["layers"] == kept["layers"]
    assert (tmp_path / "y.mrv").read_bytes() == file.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--keep", 0], "--keep is 0"),
        (["--keep", 99], "keep is 99; this model has"),
        (["--keep", 1], "nothing is coded"),
        (["--max-bpp", 0], "--max-bpp is 0"),
        (["--max-bpp", "nan"], "--max-bpp is nan"),
        (["--max-bpp", 0.5], "allow more"),
    ],
)
def test_files_that_cannot_be_are_refused(
    capsys: Capture, tmp_path: Path, pictures: list[Path], arguments: list[object], reason: str
) -> None:
    file = tmp_path / "x.mrv"
    assert reason in refuse(capsys, "compress", RUN, pictures[0], "--out", file, *arguments)
    assert not file.exists()
