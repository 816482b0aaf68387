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


def test_any_prefix_decodes_to_the_last_whole_layer_with_one_line(
    capsys: Capture, tmp_path: Path, pictures: list[Path]
) -> None:
    file, cut, name = tmp_path / "x.mrv", tmp_path / "cut.mrv", pictures[0].name
    cuts = ask(capsys, "compress", RUN, pictures[0], "--out", file, "--progressive", "--no-verify")[
        "cuts"
    ]
    assert cuts == list(read_container(file).cuts)
    assert cuts[-1] == file.stat().st_size
    for number, end in enumerate(cuts[:-1]):
        ask(capsys, "cut", file, "--at", end, "--out", cut)
        assert cut.read_bytes() == file.read_bytes()[:end]
        at_cut, within = tmp_path / f"at{number}", tmp_path / f"within{number}"
        assert main(["decompress", str(cut), "--out", str(at_cut)]) == 0
        cut.write_bytes(file.read_bytes()[: end + 5])
        capsys.readouterr()
        assert main(["decompress", str(cut), "--out", str(within)]) == 0
        err = capsys.readouterr().err
        assert f"was cut after {number + 1} of {len(cuts)} chunks, within the next one" in err
        assert err.count("\n") == 1
        assert (at_cut / name).read_bytes() == (within / name).read_bytes()
    cut.write_bytes(file.read_bytes()[: cuts[0] - 1])
    line = refuse(capsys, "decompress", cut, "--out", tmp_path / "none")
    assert "within its first picture" in line
    assert not (tmp_path / "none").exists()


def test_a_cut_falls_between_chunks_and_fits(
    capsys: Capture, tmp_path: Path, pictures: list[Path]
) -> None:
    file, out = tmp_path / "x.mrv", tmp_path / "cut.mrv"
    values = ask(capsys, "compress", RUN, *pictures, "--out", file, "--progressive")
    first, second, *_, last = values["cuts"]
    for most, expected in ((second, second), (second - 1, first), (10**9, last)):
        found = ask(capsys, "cut", file, "--max-bytes", most, "--out", out)
        assert (found["bytes"], out.stat().st_size) == (expected, expected)
        assert found["cuts"] == [cut for cut in values["cuts"] if cut <= expected]
    out.unlink()
    for arguments, reason in (
        (["--at", first + 1], f"within a chunk of {file}; give {first:,} or {second:,}"),
        (["--max-bytes", first - 1], f"has {first:,} bytes"),
        (["--max-bytes", 0], "--max-bytes is 0"),
        ([], "give one of"),
        (["--at", first, "--max-bytes", first], "give one of"),
    ):
        assert reason in refuse(capsys, "cut", file, *arguments, "--out", out)
    assert "which is also an input" in refuse(capsys, "cut", file, "--at", first, "--out", file)
    assert not out.exists()


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
