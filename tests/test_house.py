"""The rules of the house: who may import whom, how long things may be, and what is not used.

A rule lists everything that breaks it. Its test asserts that the list is empty, and runs the rule
on a small package that breaks it too, so that no rule passes because it looks at nothing.
"""

from __future__ import annotations

import ast
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import mrvae

ROOT = Path(mrvae.__file__).parent

SCIENCE = {"resolution", "distributions", "layers", "models", "objectives", "data", "recipes"}
SCIENCE |= {"sizes"}
WRITING = {"files", "reports", "run_log", "processes"}
WRITING |= {"streams", "forecast"}
COUNTING = {"meter"}
USING = {"suggestions", "devices"}
ALLOWED: dict[str, set[str]] = {
    "resolution": {"suggestions", "sizes"},
    "distributions": set(),
    "recipes": {"suggestions", "sizes"},
    "suggestions": set(),
    "sizes": set(),
    "devices": set(),
    "files": set(),
    "streams": set(),
    "forecast": {"streams"},
    "meter": set(),
    "processes": {"files"},
    "layers": {"resolution", "distributions", "sizes"},
    "models": {"layers", "resolution", "distributions", "recipes", "files", "sizes"},
    "objectives": {"models"},
    "data": {
        "distributions",
        "recipes.schema",
        "recipes.data",
        "recipes.cut",
        "suggestions",
        "files",
        "sizes",
    },
    "run_log": {"files"},
    "reports": {"files", "sizes"},
    "training": SCIENCE | WRITING | COUNTING | {"devices"},
    "evaluation": SCIENCE | WRITING | COUNTING,
    "compression": SCIENCE | WRITING,
    "restoration": SCIENCE,
    "papers": SCIENCE | WRITING | USING | {"training", "evaluation", "compression"},
    "cli": SCIENCE
    | WRITING
    | USING
    | {"training", "evaluation", "compression", "restoration", "papers", "__init__"},
    "__init__": {"recipes", "models", "evaluation", "restoration"},
    "__main__": {"cli"},
}
TORCH_FREE = {"recipes", "files", "run_log", "reports", "suggestions"}
TORCH_FREE |= {"streams", "forecast", "sizes"}


MOST_MODULES = 12
# Folders whose modules are alike: one command, or one item of a paper, each.
MEMBERS_OF_ONE_KIND = {"cli", "papers/falck2022", "papers/kiruluta2025", "papers/kuzina2023"}
MOST_LINES = 400
MOST_LINES_OF_A_FUNCTION = 60
FORBIDDEN_CALLS = {"hasattr", "eval", "exec", "compile", "__import__"}
FORBIDDEN_MODULES = {"pickle", "dill", "cloudpickle", "marshal", "shelve", "joblib"}
HEAVY = {"torch", "accelerate", "matplotlib", "scipy", "sklearn"}


@dataclass(frozen=True)
class Module:
    """A file of a package: its dotted name below the package, its folder, its text."""

    name: str
    folder: str
    text: str

    @property
    def room(self) -> str:
        return self.name.split(".")[0]

    @property
    def tree(self) -> ast.Module:
        return _parse(self.text)


Package = tuple[Module, ...]


@cache
def _parse(text: str) -> ast.Module:
    return ast.parse(text)


def module(place: str, text: str) -> Module:
    """Return the module that a file below the package's root is."""
    path = Path(place)
    parts = path.with_suffix("").parts
    name = ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)
    return Module(name, path.parent.as_posix(), text)


OURS = tuple(
    module(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8"))
    for path in sorted(ROOT.rglob("*.py"))
)


def broken(texts: dict[str, str]) -> Package:
    """Return a package made up of the texts of its files."""
    return tuple(module(place, text) for place, text in texts.items())


@cache
def imports(one: Module) -> tuple[tuple[str, bool], ...]:
    """Return what a module imports, and whether that happens when it is imported itself."""
    late = {
        id(inner)
        for node in ast.walk(one.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or _for_types_only(node)
        for inner in ast.walk(node)
    }
    found = []
    for node in ast.walk(one.tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, id(node) not in late) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found += [(f"{node.module}.{alias.name}", id(node) not in late) for alias in node.names]
    return tuple(found)


def _for_types_only(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.If)
        and isinstance(node.test, ast.Name)
        and node.test.id == "TYPE_CHECKING"
    )


def imported_modules(one: Module, package: Package) -> set[str]:
    """Return the modules of the package that a module imports, or imports a name of."""
    names = {each.name for each in package}
    found = set()
    for imported, _ in imports(one):
        parts = imported.split(".")
        if parts[0] == "mrvae":
            ends = (".".join(parts[1:end]) for end in range(len(parts), 1, -1))
            found.add(next((name for name in ends if name in names), "__init__"))
    return found


# --------------------------------------------------------------------------------------- rules


def wrong_imports(package: Package) -> Iterator[str]:
    for one in package:
        if one.room not in ALLOWED:
            yield f"{one.room} is a new room; say in CONTRIBUTING and here what it may import"
            continue
        allowed = ALLOWED[one.room] | {one.room}
        for name in sorted(imported_modules(one, package)):
            if name not in allowed and name.split(".")[0] not in allowed:
                yield f"{one.name} imports {name}"
        for node in ast.walk(one.tree):
            if isinstance(node, ast.ImportFrom) and node.level > 0:
                yield f"{one.name}:{node.lineno} imports by a relative name"


def cycles(package: Package) -> Iterator[str]:
    """List cycles, also among the modules of one room, or of imports inside a function."""
    graph = {one.name: sorted(imported_modules(one, package)) for one in package}
    done: set[str] = set()

    def visit(name: str, above: tuple[str, ...]) -> Iterator[str]:
        if name in above:
            yield " → ".join([*above[above.index(name) :], name])
        elif name not in done:
            for below in graph.get(name, ()):
                yield from visit(below, (*above, name))
            done.add(name)

    for name in sorted(graph):
        yield from visit(name, ())


def heavy_imports(package: Package) -> Iterator[str]:
    for one in package:
        if one.room in TORCH_FREE:
            early = {imported.split(".")[0] for imported, now in imports(one) if now}
            yield from (f"{one.name} imports {name}" for name in sorted(early & HEAVY))


def too_long_or_undescribed(package: Package) -> Iterator[str]:
    for one in package:
        lines = len(one.text.splitlines())
        if lines > MOST_LINES:
            yield f"{one.name} has {lines} lines"
        if not ast.get_docstring(one.tree):
            yield f"{one.name} has no docstring"
        for node in ast.walk(one.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > MOST_LINES_OF_A_FUNCTION:
                    yield f"{one.name}: {node.name} has {length} lines"


def forbidden(package: Package) -> Iterator[str]:
    """List what runs what it reads, guesses what it holds, catches all, or vanishes under -O."""
    for one in package:
        used = {imported.split(".")[0] for imported, _ in imports(one)} & FORBIDDEN_MODULES
        for name in sorted(used):
            yield f"{one.name} imports {name}"
        for node in ast.walk(one.tree):
            where = f"{one.name}:{getattr(node, 'lineno', 0)}"
            match node:
                case ast.Call(func=ast.Name(id=name)) if name in FORBIDDEN_CALLS:
                    yield f"{where} calls {name}"
                case ast.ExceptHandler(type=None):
                    yield f"{where} catches everything"
                case ast.Assert():
                    yield f"{where} asserts"


def shared_class_names(package: Package) -> Iterator[str]:
    places: dict[str, list[str]] = defaultdict(list)
    for one in package:
        for node in ast.walk(one.tree):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(one.name)
    for name, modules in sorted(places.items()):
        if len(modules) > 1:
            yield f"{name} is a class of {', '.join(modules)}"


def crowded_folders(package: Package) -> Iterator[str]:
    count = Counter(one.folder for one in package)
    packages = {one.name.replace(".", "/") for one in package}
    for folder, modules in sorted(count.items()):
        modules -= folder in packages  # its own __init__
        if modules > MOST_MODULES and folder not in MEMBERS_OF_ONE_KIND:
            yield f"{folder} holds {modules} modules"


def recipes_in_forward_passes(package: Package) -> Iterator[str]:
    """List modules of models that know recipes, where a forward pass could branch on one."""
    for one in package:
        if one.room == "models" and not one.name.startswith("models.build"):
            found = {imported for imported, _ in imports(one)}
            yield from (
                f"{one.name} imports {name}"
                for name in sorted(found)
                if name.startswith("mrvae.recipes")
            )


def second_walks(package: Package) -> Iterator[str]:
    """List what descends the hierarchy by its parts, not by the one public trace."""
    for one in package:
        if one.room == "models":
            continue
        if "mrvae.models.hierarchy.walk.descend" in {imported for imported, _ in imports(one)}:
            yield f"{one.name} imports descend"
        for node in ast.walk(one.tree):
            where = f"{one.name}:{getattr(node, 'lineno', 0)}"
            match node:
                case ast.Attribute(attr="split_noise"):
                    yield f"{where} splits the noise"
                case ast.Attribute(value=ast.Attribute(attr="decoder"), attr=name):
                    yield f"{where} uses decoder.{name}"
                case ast.Call(func=ast.Attribute(attr="head" | "encoder" as name)):
                    yield f"{where} calls the {name}"
                case ast.Attribute(value=ast.Attribute(attr="context" | "prior"), attr=name):
                    if name.startswith("_"):
                        yield f"{where} uses {name} of the context"


# --------------------------------------------------------------------------------------- tests


def test_imports_go_one_way() -> None:
    assert list(wrong_imports(OURS)) == []
    bad = {
        "layers/a.py": "from mrvae.models.b import B\nimport torch",
        "models/b.py": "def late():\n    from mrvae.layers import a, other",
        "attic/c.py": "",
        "data/d.py": "from . import e",
    }
    assert list(wrong_imports(broken(bad))) == [
        "layers.a imports models.b",
        "models.b imports __init__",
        "attic is a new room; say in CONTRIBUTING and here what it may import",
        "data.d:1 imports by a relative name",
    ]


def test_there_is_no_cycle() -> None:
    assert list(cycles(OURS)) == []
    bad = {
        "models/a.py": "import mrvae.models.b",
        "models/b.py": "def late():\n    from mrvae.models.c import C",
        "models/c.py": "from mrvae.models import a",
    }
    assert list(cycles(broken(bad))) == ["models.a → models.b → models.c → models.a"]


def test_what_only_reads_and_writes_needs_no_torch() -> None:
    assert list(heavy_imports(OURS)) == []
    early, late = "from torch import nn", "def late():\n    import scipy"
    bad = {"recipes/a.py": early, "files.py": late, "models/b.py": early}
    assert list(heavy_imports(broken(bad))) == ["recipes.a imports torch"]


def test_files_and_functions_are_short_and_described() -> None:
    assert list(too_long_or_undescribed(OURS)) == []
    sixty, method = 60 * "    pass\n", 59 * "        pass\n"
    bad = {
        "long.py": '"""A."""\n' + 400 * "\n",
        "fits.py": '"""B."""\n' + 399 * "\n",
        "bare.py": "x = 1",
        "d.py": f'"""D."""\ndef f():\n{sixty}class C:\n    def g(self):\n{method}',
    }
    expected = ["long has 401 lines", "bare has no docstring", "d: f has 61 lines"]
    assert list(too_long_or_undescribed(broken(bad))) == expected


def test_nothing_runs_what_it_reads_or_guesses_what_it_holds() -> None:
    assert list(forbidden(OURS)) == []
    bad = {
        "a.py": "import pickle",
        "b.py": "hasattr(x, 'y')\ntry:\n    pass\nexcept:\n    pass\nassert x",
        "data/c.py": "def late():\n    from pickle import loads\nimport pickletools",
    }
    assert sorted(forbidden(broken(bad))) == [
        "a imports pickle",
        "b:1 calls hasattr",
        "b:4 catches everything",
        "b:6 asserts",
        "data.c imports pickle",
    ]


def test_no_two_classes_share_a_name() -> None:
    assert list(shared_class_names(OURS)) == []
    bad = {"a.py": "class A: pass\nclass B: pass", "b.py": "def f():\n    class A: pass"}
    assert list(shared_class_names(broken(bad))) == ["A is a class of a, b"]


def test_no_folder_is_crowded() -> None:
    assert list(crowded_folders(OURS)) == []
    assert {one.folder for one in OURS} >= MEMBERS_OF_ONE_KIND
    full = {f"layers/m{index}.py": "" for index in range(MOST_MODULES)} | {"layers/__init__.py": ""}
    assert list(crowded_folders(broken(full))) == []
    found = crowded_folders(broken(full | {"layers/more.py": ""}))
    assert list(found) == [f"layers holds {MOST_MODULES + 1} modules"]


def test_only_build_knows_recipes() -> None:
    assert list(recipes_in_forward_passes(OURS)) == []
    known = "from mrvae.recipes.schema import Model"
    late = "def forward():\n    from mrvae.recipes import context"
    bad = {"models/build/a.py": known, "models/cells/b.py": known, "models/c.py": late}
    assert list(recipes_in_forward_passes(broken(bad))) == [
        "models.cells.b imports mrvae.recipes.schema.Model",
        "models.c imports mrvae.recipes.context",
    ]


def test_there_is_one_walk() -> None:
    assert list(second_walks(OURS)) == []
    bad = {
        "models/a.py": "self.decoder.walk(x)",
        "papers/b.py": "model.decoder.walk(x)\nmodel.head(h)\nhead(h)",
        "training/c.py": "parts.split_noise\nself.model.encoder(x)",
        "compression/d.py": "from mrvae.models.hierarchy.walk import descend",
        "evaluation/e.py": "model.context.prior._reverse(y)\nmodel.context.prior.terms(c)",
    }
    assert sorted(second_walks(broken(bad))) == [
        "compression.d imports descend",
        "evaluation.e:1 uses _reverse of the context",
        "papers.b:1 uses decoder.walk",
        "papers.b:2 calls the head",
        "training.c:1 splits the noise",
        "training.c:2 calls the encoder",
    ]
