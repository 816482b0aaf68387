"""The house's own laws: who may import whom, how long things may be, and what is not used."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import mrvae

ROOT = Path(mrvae.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))

SCIENCE = {"resolution", "distributions", "layers", "models", "objectives", "data", "recipes"}
WRITING = {"files", "image_grid", "report", "run_log", "processes"}
COUNTING = {"meter"}
ALLOWED: dict[str, set[str]] = {
    "resolution": set(),
    "distributions": set(),
    "recipes": set(),
    "files": set(),
    "meter": set(),
    "processes": {"files"},
    "layers": {"resolution", "distributions"},
    "models": {"layers", "resolution", "distributions", "recipes", "files"},
    "objectives": {"models"},
    "data": {"distributions", "recipes.schema", "recipes.cut"},
    "image_grid": {"files"},
    "run_log": set(),
    "report": {"files"},
    "training": SCIENCE | WRITING | COUNTING,
    "evaluation": SCIENCE | WRITING | COUNTING,
    "compression": SCIENCE | WRITING,
    "papers": SCIENCE | WRITING | {"training", "evaluation", "compression"},
    "cli": SCIENCE | WRITING | {"training", "evaluation", "compression", "papers", "__init__"},
    "__init__": {"recipes", "models"},
    "__main__": {"cli"},
}
TORCH_FREE = {"recipes", "files", "image_grid", "report", "run_log"}


def name_of(path: Path) -> str:
    """Return the dotted name of a module, below mrvae."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def room(module: str) -> str:
    return module.split(".")[0]


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Yield what a file imports, absolute, and whether that happens when it is imported."""
    whole = tree(path)
    late = {
        id(inner)
        for node in ast.walk(whole)
        if isinstance(node, ast.FunctionDef) or _for_types_only(node)
        for inner in ast.walk(node)
    }
    for node in ast.walk(whole):
        if isinstance(node, ast.Import):
            yield from ((alias.name, id(node) not in late) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports by a relative name"
            for alias in node.names:
                yield f"{node.module}.{alias.name}", id(node) not in late


def _for_types_only(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.If)
        and isinstance(node.test, ast.Name)
        and node.test.id == "TYPE_CHECKING"
    )


MODULES = {name_of(path) for path in FILES}


def ours(imported: str) -> str | None:
    """Return the module of ours that an imported name is, or lies in."""
    parts = imported.split(".")
    if parts[0] != "mrvae":
        return None
    for end in range(len(parts), 1, -1):
        if ".".join(parts[1:end]) in MODULES:
            return ".".join(parts[1:end])
    return "__init__"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_imports_go_one_way(path: Path) -> None:
    mine = room(name_of(path))
    assert mine in ALLOWED, f"{mine} is a new room; say in DESIGN and here what it may import"
    for imported, _ in imports(path):
        found = ours(imported)
        if found is None or room(found) == mine:
            continue
        allowed = ALLOWED[mine]
        assert room(found) in allowed or found in allowed, f"{path} imports mrvae.{found}"


def test_there_is_no_cycle() -> None:
    """Not even among the modules of one room, or in imports that wait inside a function."""
    graph = {
        name_of(path): {
            found for imported, _ in imports(path) if (found := ours(imported)) is not None
        }
        for path in FILES
    }
    # A package's name stands for its __init__; what the package itself gathers is no cycle.
    done: set[str] = set()

    def visit(module: str, above: tuple[str, ...]) -> None:
        assert module not in above, " → ".join([*above[above.index(module) :], module])
        if module not in done:
            for below in sorted(graph.get(module, ())):
                visit(below, (*above, module))
            done.add(module)

    for module in sorted(graph):
        visit(module, ())


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_what_only_reads_and_writes_needs_no_torch(path: Path) -> None:
    if room(name_of(path)) in TORCH_FREE:
        early = {imported.split(".")[0] for imported, now in imports(path) if now}
        assert early.isdisjoint({"torch", "accelerate", "matplotlib", "scipy", "sklearn"})


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_files_and_functions_are_short_and_say_what_they_are(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400
    assert ast.get_docstring(tree(path)), f"{path} has no docstring"
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert length <= 60, f"{path}: {node.name} has {length} lines"


FORBIDDEN_CALLS = {"hasattr", "eval", "exec", "compile", "__import__"}
FORBIDDEN_MODULES = {"pickle", "dill", "cloudpickle", "marshal", "shelve", "joblib"}


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_nothing_runs_what_it_reads_or_guesses_what_it_holds(path: Path) -> None:
    found = {imported.split(".")[0] for imported, _ in imports(path)}
    assert found.isdisjoint(FORBIDDEN_MODULES)
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in FORBIDDEN_CALLS, f"{path}:{node.lineno}"
        if isinstance(node, ast.ExceptHandler):
            assert node.type is not None, f"{path}:{node.lineno} catches everything"
        assert not isinstance(node, ast.Assert), f"{path}: an assert vanishes under -O"
