"""Files are written whole or not at all."""

from __future__ import annotations

import json
import os
import resource
from pathlib import Path
from uuid import uuid4

import pytest

from mrvae.files import atomic, cache_folder, is_stream, sweep, writable, write_json


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


def test_a_name_of_any_legal_length_can_be_written(tmp_path: Path) -> None:
    for name in ("n" * 255, "n" * 251 + ".png", "n." + "s" * 253, "あ" * 85):
        writable(tmp_path / name)
        write_json(tmp_path / name, [1])
        assert names(tmp_path) == [name]
        (tmp_path / name).unlink()
    with pytest.raises(ValueError, match="256 bytes, and 255 are allowed"):
        writable(tmp_path / ("n" * 256))


def test_what_a_killed_run_left_is_swept_whichever_version_wrote_it(tmp_path: Path) -> None:
    left = [f".a.{uuid4().hex}.json", f".mrvae-{uuid4().hex[:16]}", f".mrvae-{'0' * 16}.png"]
    for name in [*left, ".mine.json", ".mrvae-notes"]:
        (tmp_path / name).touch()
    sweep(tmp_path)
    assert names(tmp_path) == [".mine.json", ".mrvae-notes"]


def test_streams_are_written_to_and_not_replaced(tmp_path: Path) -> None:
    fifo, file = tmp_path / "fifo", tmp_path / "file"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    with file.open("wb") as target:
        link = tmp_path / "link"
        link.symlink_to(f"/dev/fd/{target.fileno()}")
        for stream in (fifo, Path(f"/dev/fd/{target.fileno()}"), link, Path("/dev/null")):
            assert is_stream(stream)
            writable(stream)
            write_json(stream, [1])
    assert os.read(reader, 100) == b"[\n  1\n]\n"
    os.close(reader)
    assert fifo.is_fifo()
    assert link.is_symlink()
    assert file.read_text() == "[\n  1\n]\n" * 2
    assert Path("/dev/null").is_char_device()
    assert names(tmp_path) == ["fifo", "file", "link"]


def test_a_descriptor_that_cannot_be_written_is_refused_first(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="descriptor 1000 is not open"):
        writable(Path("/dev/fd/1000"))
    (tmp_path / "a").touch()
    with (tmp_path / "a").open() as file, pytest.raises(ValueError, match="for reading only"):
        writable(Path(f"/proc/self/fd/{file.fileno()}"))


def test_a_full_disk_is_reported_with_the_final_name(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
    try:
        with pytest.raises(OSError, match="File too large") as full, atomic(path) as temporary:
            temporary.write_bytes(b"x" * 11)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert full.value.filename == str(path)
    assert names(tmp_path) == []


def test_a_user_without_a_home_has_no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert cache_folder() == Path("/somewhere/mrvae")
    for name in ("XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 54321)
    assert cache_folder() is None
