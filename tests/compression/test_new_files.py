"""All files or none, and none of another writer's."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NoReturn

import pytest

from mrvae.compression.format.new_files import new_files


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def no_links(source: object, target: object) -> NoReturn:
    raise PermissionError(1, "no hard links")


@pytest.fixture(params=[True, False], ids=["links", "no-links"], autouse=True)
def _links(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if not request.param:
        monkeypatch.setattr(os, "link", no_links)


def test_of_two_writers_at_once_the_first_keeps_all_and_the_second_writes_nothing(
    tmp_path: Path,
) -> None:
    out = tmp_path / "out"
    with pytest.raises(ValueError, match=r"b\.png exists"), new_files(out, ["a.png", "b.png"]) as s:
        for path in s:
            path.write_bytes(b"second")
        with new_files(out, ["b.png", "c.png"]) as first:
            for path in first:
                path.write_bytes(b"first")
    assert tree(tmp_path) == {"out/b.png": b"first", "out/c.png": b"first"}
    assert sorted(path.name for path in out.iterdir()) == ["b.png", "c.png"]


def test_a_failure_leaves_no_file_and_no_new_folder(tmp_path: Path) -> None:
    for existed in (False, True):
        out = tmp_path / str(existed)
        if existed:
            out.mkdir()
            (out / "mine").write_bytes(b"mine")
        with pytest.raises(ZeroDivisionError), new_files(out, ["a.png", "b.png"]) as (a, _):
            a.write_bytes(b"whole")
            raise ZeroDivisionError
        assert out.exists() == existed
        assert tree(tmp_path) == ({"True/mine": b"mine"} if existed else {})


def test_a_folder_that_another_writer_needs_stays(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with new_files(out, ["a.png"]) as (a,):
        with pytest.raises(ZeroDivisionError), new_files(out, ["b.png"]):
            raise ZeroDivisionError
        a.write_bytes(b"whole")
    assert tree(tmp_path) == {"out/a.png": b"whole"}


def test_a_dangling_link_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "a.png").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match=r"a\.png exists"), new_files(tmp_path, ["a.png"]):
        pass
    assert not (tmp_path / "elsewhere").exists()
