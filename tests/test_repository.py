"""What the repository says of itself: its commands, its versions, its example, its file map."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import torch
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import mrvae
from helpers.members import for_all
from mrvae.cli import COMMANDS
from mrvae.recipes import override
from mrvae.training import train

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text("utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "results").glob("*.md")]
)


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def pinned(name: str) -> dict[str, str]:
    lines = (ROOT / name).read_text("utf-8").splitlines()
    pins = [line.split("==") for line in lines if not line.startswith(("#", "-r "))]
    return {canonicalize_name(package): version for package, version in pins}


TESTED = pinned("requirements-tested.txt")
TOOLS = pinned("requirements-dev.txt")


@for_all("dependency", PROJECT["dependencies"])
def test_every_dependency_has_a_tested_version_that_is_allowed(dependency: str) -> None:
    requirement = Requirement(dependency)
    assert requirement.specifier.contains(TESTED[canonicalize_name(requirement.name)])


@for_all("extra", ["dev", "docs"])
def test_every_tool_has_a_tested_version_that_is_allowed(extra: str) -> None:
    for tool in PROJECT["optional-dependencies"][extra]:
        requirement = Requirement(tool)
        assert requirement.specifier.contains(TOOLS[canonicalize_name(requirement.name)])


def test_tools_are_installed_over_the_tested_versions() -> None:
    assert "-r requirements-tested.txt" in (ROOT / "requirements-dev.txt").read_text().splitlines()
    assert not TESTED.keys() & TOOLS.keys()
    assert TESTED["torch"] == "2.13.0"


def test_the_readme_begins_with_one_command_that_does_all_and_one_that_tests() -> None:
    first, second = blocks(README, "bash")
    lines = first.strip().splitlines()
    assert all(line.endswith("&&") for line in lines[:-1])
    assert "pip install -r requirements-tested.txt -e ." in lines[0]
    assert [line.split()[1] for line in lines[1:]] == ["train", "evaluate", "sample"]
    assert second == "pip install -r requirements-dev.txt && pytest\n"


def test_every_command_that_a_page_shows_exists() -> None:
    shown = {
        word
        for page in PAGES
        for block in blocks(page.read_text("utf-8"), "bash")
        for word in re.findall(r"\bmrvae (\w+)", block)
    }
    assert {"train", "evaluate", "sample"} <= shown <= COMMANDS.keys()


def test_every_recipe_that_a_page_shows_exists() -> None:
    shown = {
        name
        for page in PAGES
        for block in blocks(page.read_text("utf-8"), "bash")
        for name in re.findall(r"\bmrvae (?:train|describe) (\w[\w-]*)(?![\w./-])", block)
    }
    assert {mrvae.recipe(name).name for name in shown} == shown


@for_all("page", PAGES)
def test_every_link_between_files_has_a_target(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_the_file_map_names_every_room_and_nothing_else() -> None:
    block = CONTRIBUTING.partition("### Contents")[2].split("```")[1]
    named = set(re.findall(r"^([a-z_]+/)", block, re.MULTILINE))
    package = ROOT / "src" / "mrvae"
    assert named == {f"{path.parent.name}/" for path in package.glob("*/__init__.py")}
    files = set(re.findall(r"^([a-z_]+)\.py ", block, re.MULTILINE))
    assert files == {path.stem for path in package.glob("[a-z]*.py")}


def test_the_example_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = blocks(README, "python")
    assert len(code.strip().splitlines()) <= 20
    monkeypatch.chdir(tmp_path)
    short = override(mrvae.recipe("digits-vdvae"), ["training.steps=2", "width=16"])
    train(short, Path("runs/digits"), quiet=True)
    names: dict[str, torch.Tensor] = {}
    exec(compile(code, "README.md", "exec"), names)  # noqa: S102
    assert torch.equal(names["between"][:1], names["coarse"][:1])
    assert torch.equal(names["between"][-1:], names["coarse"][1:2])
