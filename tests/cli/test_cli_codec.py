from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from cli_tools import Capture, ask, lively, refuse, trained
from PIL import Image
from safetensors.torch import save_file

from mrvae.cli import main
from mrvae.cli.coding_bar import CodingBar
from mrvae.data import load


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


def draw(folder: Path, *names: str, largest: int = 16) -> list[Path]:
    """Write grey pictures of 9×12 pixels."""
    rng = np.random.default_rng(0)
    folder.mkdir(exist_ok=True)
    for name in names:
        levels = rng.integers(0, largest + 1, (9, 12), dtype=np.uint8)
        Image.fromarray(levels).save(folder / name)
    return [folder / name for name in names]


def same(a: Path, b: Path) -> bool:
    return bool((np.asarray(Image.open(a)) == np.asarray(Image.open(b))).all())


def test_pictures_come_back_from_a_run_that_is_noted(capsys: Capture, tmp_path: Path) -> None:
    pictures = draw(tmp_path / "in", "a.png", "b.png")
    file, out = tmp_path / "x.mrv", tmp_path / "out"
    values = ask(capsys, "compress", lively(), *pictures, "--out", file)
    assert values["bytes"] == file.stat().st_size
    assert values["pixels"] == 2 * 9 * 12
    assert values["bpp"] == 8 * values["bytes"] / values["pixels"]
    assert (values["mode"], values["images"], values["patches"]) == ("direct", 2, 8)
    assert values["ideal_bits"] < values["payload_bits"] < values["ideal_bits"] + 160
    found = ask(capsys, "decompress", file, "--out", out)
    assert found["run"] == str(lively().resolve())
    assert [Path(path).name for path in found["images"]] == ["a.png", "b.png"]
    assert all(same(path, out / path.name) for path in pictures)
    assert "a.png exists" in refuse(capsys, "decompress", file, "--out", out)


def test_a_search_makes_the_file_shorter_and_can_be_left_out(
    capsys: Capture, tmp_path: Path
) -> None:
    (picture,) = draw(tmp_path / "in", "a.png")
    found = ask(capsys, "compress", lively(), picture, "--out", tmp_path / "found.mrv")
    nearest = ask(
        capsys, "compress", lively(), picture, "--out", tmp_path / "nearest.mrv", "--no-search"
    )
    assert found["mode"] == nearest["mode"] == "direct"
    assert found["ideal_bits"] < nearest["ideal_bits"]


def test_a_run_is_found_by_its_name_alone_if_it_is_told(capsys: Capture, tmp_path: Path) -> None:
    (picture,) = draw(tmp_path / "in", "a.png")
    file = tmp_path / "x.mrv"
    moved = tmp_path / "moved"
    shutil.copytree(lively(), moved)
    ask(capsys, "compress", moved, picture, "--out", file, "--no-verify")
    moved.rename(tmp_path / "elsewhere")
    assert "--run" in refuse(capsys, "decompress", file, "--out", tmp_path / "out")
    values = ask(
        capsys, "decompress", file, "--out", tmp_path / "out", "--run", tmp_path / "elsewhere"
    )
    assert same(picture, Path(values["images"][0]))


def test_another_run_is_refused_by_both_names(capsys: Capture, tmp_path: Path) -> None:
    (picture,) = draw(tmp_path / "in", "a.png")
    file = tmp_path / "x.mrv"
    values = ask(capsys, "compress", lively(), picture, "--out", file)
    line = refuse(capsys, "decompress", file, "--out", tmp_path / "o", "--run", trained())
    assert not (tmp_path / "o").exists()
    assert values["model"] in line
    assert len([word for word in line.replace(",", " ").split() if len(word) == 64]) == 2


def test_pictures_that_are_not_the_models_are_refused(capsys: Capture, tmp_path: Path) -> None:
    (good,) = draw(tmp_path, "good.png")
    draw(tmp_path, "loud.png", largest=255)
    Image.new("RGB", (8, 8)).save(tmp_path / "colour.png")
    Image.new("RGBA", (8, 8)).save(tmp_path / "alpha.png")
    Image.new("P", (8, 8)).save(tmp_path / "palette.png")
    Image.fromarray(np.zeros((8, 8), dtype=np.uint16)).save(tmp_path / "deep.png")
    (tmp_path / "text.png").write_text("no picture")
    for name, reason in {
        "loud.png": "the largest is 16",
        "colour.png": "is RGB; this model's images are grey",
        "alpha.png": "has transparency",
        "palette.png": "has a palette",
        "deep.png": "has 16 bits a channel",
        "text.png": "cannot be read",
        "absent.png": "there is no such file",
    }.items():
        out = tmp_path / "x.mrv"
        line = refuse(capsys, "compress", lively(), good, tmp_path / name, "--out", out)
        assert name in line, line
        assert reason in line, line
        assert not out.exists()


def test_mistakes_are_refused(capsys: Capture, tmp_path: Path) -> None:
    (picture,) = draw(tmp_path / "in", "a.png")
    for arguments, reason in (
        (["compress", lively(), "--out", tmp_path / "x"], "required: IMAGE"),
        (["compress", tmp_path / "none", picture, "--out", tmp_path / "x"], "no run directory"),
        (["compress", lively(), picture, "--out", tmp_path / "no" / "x"], "does not exist"),
        (["decompress", tmp_path / "none", "--out", tmp_path / "o"], "is no file"),
        (["decompress", picture, "--out", tmp_path / "o"], "not a file of mrvae compress"),
        (["decompress", picture, "--out", picture], "which is a file"),
    ):
        assert reason in refuse(capsys, *arguments)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in"]


def test_a_cut_file_gives_what_is_whole_and_warns(capsys: Capture, tmp_path: Path) -> None:
    pictures = draw(tmp_path / "in", "a.png", "b.png")
    file = tmp_path / "x.mrv"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mrvae.compression.format.packing._CHUNK_PATCHES", 4)
        ask(capsys, "compress", lively(), *pictures, "--out", file)
    from mrvae.compression import read_container

    start, length = read_container(file).places[0]
    file.write_bytes(file.read_bytes()[: start + length + 4])
    assert main(["decompress", str(file), "--out", str(tmp_path / "out")]) == 0
    assert "warning" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.png"]
    assert same(pictures[0], tmp_path / "out" / "a.png")


def test_a_folder_is_its_pictures_in_the_order_of_names(capsys: Capture, tmp_path: Path) -> None:
    folder, file = tmp_path / "in", tmp_path / "x.mrv"
    draw(folder, "b.png", "a.png", ".hidden.png")
    (folder / "notes.txt").write_text("no picture")
    (folder / "deeper").mkdir()
    assert "holds no pictures" in refuse(
        capsys, "compress", lively(), folder / "deeper", "--out", file
    )
    arguments = ["compress", lively(), folder, "--out", file, "--no-search", "--no-verify"]
    assert main([*map(str, arguments), "--json"]) == 0
    seen = capsys.readouterr()
    assert f"{folder}: 2 pictures are taken, 2 other files or folders are not" in seen.err
    values = json.loads(seen.out)
    assert values["images"] == 2
    assert values["cuts"][-1] == file.stat().st_size
    found = ask(capsys, "decompress", file, "--out", tmp_path / "out")
    assert [Path(path).name for path in found["images"]] == ["a.png", "b.png"]


def test_a_picture_that_is_read_is_not_written_over(capsys: Capture, tmp_path: Path) -> None:
    (picture,) = draw(tmp_path / "in", "a.png")
    before = picture.read_bytes()
    for given in (picture, tmp_path / "in"):
        line = refuse(capsys, "compress", lively(), given, "--out", tmp_path / "in" / "a.png")
        assert "which is also an input" in line
    assert picture.read_bytes() == before


def test_a_file_that_declares_more_than_its_size_allows_is_decoded_if_asked_for(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (picture,) = draw(tmp_path / "in", "a.png")
    file, out = tmp_path / "x.mrv", tmp_path / "out"
    monkeypatch.setattr("mrvae.compression.format.limits._FREE_VALUES", 0)
    monkeypatch.setattr("mrvae.compression.format.limits._VALUES_PER_BYTE", 0)
    assert main(["compress", str(lively()), str(picture), "--out", str(file), "--no-search"]) == 0
    assert "mrvae decompress needs --yes-large" in capsys.readouterr().err
    line = refuse(capsys, "decompress", file, "--out", out)
    assert "declares 256 pixel values" in line
    assert not out.exists()
    ask(capsys, "decompress", file, "--out", out, "--yes-large")
    assert same(picture, out / "a.png")


def test_a_model_of_a_context_only_names_what_it_is_made_for(
    capsys: Capture, tmp_path: Path
) -> None:
    run, file = context_only(tmp_path), tmp_path / "x.mrv"
    picture = tmp_path / "a.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)).save(picture)
    arguments = ["compress", str(run), str(picture), "--out", str(file), "--no-verify"]
    assert main(arguments) == 0
    line = capsys.readouterr().err
    assert "made for --keep 1" in line
    assert f"As PNG these pictures take {picture.stat().st_size:,} bytes" in line
    assert main([*arguments, "--keep", "1"]) == 0
    assert capsys.readouterr().err == ""


def context_only(folder: Path) -> Path:
    """Return a run of a context only, untrained."""
    import mrvae
    from mrvae.data import Images
    from mrvae.models import HVAE
    from mrvae.recipes import to_json

    run, recipe = folder / "run", mrvae.recipe("kodak-context")
    run.mkdir()
    model = mrvae.build(recipe)
    assert isinstance(model, HVAE)
    photographs = torch.randint(0, 256, (64, 3, 32, 32), dtype=torch.uint8)
    model.context.fit(Images(photographs, "noise", "train", 256).tensor())
    save_file(model.state_dict(), run / "weights.safetensors")
    (run / "recipe.json").write_text(json.dumps({"recipe": to_json(recipe), "seed": 0}))
    return run


class Terminal(io.StringIO):
    """A terminal that may be gone."""

    def __init__(self, there: bool = True, gone: bool = False) -> None:
        super().__init__()
        self.there, self.gone = there, gone

    def isatty(self) -> bool:
        return self.there

    def write(self, text: str) -> int:
        if self.gone:
            raise BrokenPipeError(32, "Broken pipe")
        return super().write(text)


def test_a_bar_is_shown_on_a_terminal_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    for after, there, shown in ((0.0, True, True), (60.0, True, False), (0.0, False, False)):
        with CodingBar("compress", 2048, False, after, stream := Terminal(there)) as bar:
            bar(1024, 3000)
        assert ("patches  3,000 bytes" in stream.getvalue()) == shown
    with CodingBar("compress", 2048, False, 0.0, Terminal(gone=True)) as bar:
        bar(1024, 3000)


@pytest.mark.slow
def test_another_process_with_two_threads_decodes(capsys: Capture, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    pictures = [tmp_path / "in" / f"{i}.png" for i in range(200)]
    for path, levels in zip(pictures, load("digits", "test").take(torch.arange(200)), strict=True):
        Image.fromarray(levels[0].numpy()).save(path)
    file = tmp_path / "x.mrv"
    assert ask(capsys, "compress", "digits-vdvae", *pictures, "--out", file)["mode"] == "bitsback"
    for threads in ("1", "2"):
        out = tmp_path / f"out{threads}"
        subprocess.run(  # noqa: S603
            [sys.executable, "-m", "mrvae", "decompress", str(file), "--out", str(out)],
            env={**os.environ, "OMP_NUM_THREADS": threads},
            check=True,
        )
        assert all(same(path, out / path.name) for path in pictures)
