"""Files are written whole or not at all."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from mrvae.files import atomic, writable, write_json


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def fail_in(path: Path) -> None:
    with atomic(path) as temporary:
        temporary.write_text("half")
        assert temporary.parent == path.parent
        raise KeyError


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with pytest.raises(KeyError):
        fail_in(path)
    assert names(tmp_path) == []
    path.write_text("old")
    with pytest.raises(KeyError):
        fail_in(path)
    assert names(tmp_path) == ["a.txt"]
    assert path.read_text() == "old"


def test_a_block_that_wrote_nothing_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write_nothing() -> None:
        with atomic(path):
            pass

    with pytest.raises(FileNotFoundError):
        write_nothing()
    assert path.read_text() == "old"


def test_the_old_file_is_there_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(b"old")
    with atomic(path) as temporary:
        assert temporary.suffix == ".png"
        assert temporary.name.startswith(".")
        temporary.write_bytes(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["picture.png"]


def test_bytes_are_on_the_disk_before_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash of the machine between the two must find the old name."""
    seen: list[bool] = []
    path = tmp_path / "a.txt"
    fsync = os.fsync

    def spy(descriptor: int) -> None:
        seen.append(path.exists())
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", spy)
    with atomic(path) as temporary:
        temporary.write_text("whole")
    assert seen == [False]


def test_json_that_is_none_is_refused_and_the_old_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"a": [1, 2.5, None]})
    assert json.loads(path.read_text()) == {"a": [1, 2.5, None]}
    before = path.read_bytes()
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"a": float("nan")})
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    assert path.read_bytes() == before
    assert names(tmp_path) == ["a.json"]


def test_paths_that_could_not_be_written_are_refused_first(tmp_path: Path) -> None:
    writable(tmp_path / "a.txt")
    with pytest.raises(ValueError, match="does not exist"):
        writable(tmp_path / "nowhere" / "a.txt")
    with pytest.raises(ValueError, match="it is a folder"):
        writable(tmp_path)
    assert names(tmp_path) == []
