"""All files or none, and none of another writer's."""

from __future__ import annotations

import os
from collections.abc import Callable
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


def fill(out: Path, names: list[str], then: Callable[[], object] = bool) -> None:
    """Write files that hold the first name, and do something before they get their names."""
    with new_files(out, names) as paths:
        for path in paths:
            path.write_text(names[0])
        then()


def fail() -> NoReturn:
    raise ZeroDivisionError


def test_of_two_writers_at_once_the_first_keeps_all_and_the_second_writes_nothing(
    tmp_path: Path,
) -> None:
    out = tmp_path / "out"
    with pytest.raises(ValueError, match="b exists"):
        fill(out, ["a", "b"], lambda: fill(out, ["b", "c"]))
    assert tree(tmp_path) == {"out/b": b"b", "out/c": b"b"}
    assert sorted(path.name for path in out.iterdir()) == ["b", "c"]


def test_a_failure_leaves_no_file_and_no_new_folder(tmp_path: Path) -> None:
    new, old = tmp_path / "new", tmp_path / "old"
    old.mkdir()
    (old / "mine").write_bytes(b"mine")
    for out in (new, old):
        with pytest.raises(ZeroDivisionError):
            fill(out, ["a", "b"], fail)
    assert not new.exists()
    assert [path.name for path in old.iterdir()] == ["mine"]


def test_a_folder_that_another_writer_needs_stays(tmp_path: Path) -> None:
    out = tmp_path / "out"

    def other() -> None:
        with pytest.raises(ZeroDivisionError):
            fill(out, ["b"], fail)

    fill(out, ["a"], other)
    assert tree(tmp_path) == {"out/a": b"a"}


def test_a_dangling_link_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match="a exists"):
        fill(tmp_path, ["a"])
    assert not (tmp_path / "elsewhere").exists()
