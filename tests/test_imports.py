"""Who may know whom: imports run downwards, plug-ins stand alone, and the command line starts light.

Read from the source with `ast`, so that an import inside a function counts for the layers but not for start-up.
"""

from __future__ import annotations

import ast
import graphlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LAYERS = [
    {"surgaug.errors", "surgaug.version"},
    {"surgaug"},
    {"surgaug.runtime"},
    {"surgaug.io"},
    {"surgaug.labels"},
    {"surgaug.datasets", "surgaug.phantom"},
    {"surgaug.models", "surgaug.diffusion"},
    {"surgaug.segmenter"},
    {
        "surgaug.training",
        "surgaug.synthesis",
        "surgaug.scoring",
        "surgaug.perturb",
        "surgaug.export",
        "surgaug.inspect",
    },
    {"surgaug.demo", "surgaug.api"},
    {"surgaug.cli"},
    {"surgaug.__main__"},
]
SIBLINGS = {("surgaug.synthesis", "surgaug.perturb"), ("surgaug.training", "surgaug.scoring")}
FRONT = ("surgaug", "surgaug.api")  # named for type checkers, imported when used
HEAVY = {"torch", "torchvision", "cv2", "pandas", "skimage", "scipy"}


@dataclass(frozen=True)
class Import:
    """`importer` names `target`; `at_start` if importing the one imports the other."""

    importer: str
    target: str
    at_start: bool


def modules(root: Path) -> dict[str, Path]:
    """Dotted names of the modules under `root`/surgaug."""
    found = {}
    for path in sorted((root / "surgaug").rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(root: Path) -> list[Import]:
    """Every import statement under `root`/surgaug; `from package import module` names the module."""
    known = modules(root)
    return [
        Import(name, target, at_start)
        for name, path in known.items()
        for statement, at_start in _statements(ast.parse(path.read_text(encoding="utf-8")))
        for target in _targets(statement, name, path.name == "__init__.py", known)
    ]


def _statements(node: ast.AST, at_start: bool = True) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child, at_start
        else:
            deferred = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            only_for_types = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test)
            yield from _statements(child, at_start and not deferred and not only_for_types)


def _targets(statement: ast.Import | ast.ImportFrom, importer: str, is_package: bool, known: dict) -> list[str]:
    if isinstance(statement, ast.Import):
        return [alias.name for alias in statement.names]
    base = statement.module or ""
    if statement.level:
        parents = importer.split(".")[: len(importer.split(".")) - statement.level + is_package]
        base = ".".join([*parents, *([base] if base else [])])
    names = [f"{base}.{alias.name}" for alias in statement.names]
    return [name if name in known else base for name in names]


def package(module: str) -> str:
    """`surgaug.labels` for surgaug.datasets.layouts.cadis; `surgaug.errors` for surgaug.errors."""
    return ".".join(module.split(".")[:2])


def upward(found: list[Import]) -> list[str]:
    """Imports of ours that do not run downwards."""
    layer = {name: depth for depth, names in enumerate(LAYERS) for name in names}
    return [
        f"{i.importer} imports {i.target}"
        for i in found
        if i.target.split(".")[0] == "surgaug"
        and package(i.importer) != package(i.target)
        and (package(i.importer), package(i.target)) not in SIBLINGS
        and ((i.importer, i.target) != FRONT or i.at_start)
        and layer[package(i.importer)] <= layer[package(i.target)]
    ]


def circle(found: list[Import]) -> list[str]:
    """Modules of ours that import each other in a circle, deferred imports included; empty where there is none."""
    graph: dict[str, set[str]] = {}
    for i in found:
        if (
            i.target.split(".")[0] == "surgaug"
            and i.target != i.importer
            and ((i.importer, i.target) != FRONT or i.at_start)
        ):
            graph.setdefault(i.importer, set()).add(i.target)
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return error.args[1]
    return []


def plugin_folders(root: Path) -> set[str]:
    """Packages that list their modules with pkgutil."""
    return {
        name
        for name, path in modules(root).items()
        if path.name == "__init__.py" and "iter_modules" in path.read_text(encoding="utf-8")
    }


def plugin_ties(found: list[Import], folders: set[str]) -> list[str]:
    """Plug-ins that import a plug-in, of their own folder or of another, or another folder's registry."""

    def is_plugin(module: str) -> bool:
        return module.rpartition(".")[0] in folders

    return [
        f"{i.importer} imports {i.target}"
        for i in found
        if is_plugin(i.importer) and (is_plugin(i.target) or i.target in folders - {i.importer.rpartition(".")[0]})
    ]


def start_up(found: list[Import], module: str) -> set[str]:
    """Everything that importing `module` imports, packages on the way included; other projects by their first name."""
    ours = {i.importer for i in found}
    names, todo = set(), [module]
    while todo:
        name = todo.pop()
        if name in names:
            continue
        names.add(name)
        parts = name.split(".")
        todo += [".".join(parts[:n]) for n in range(1, len(parts))] if parts[0] == "surgaug" else [parts[0]]
        if name in ours:
            todo += [i.target for i in found if i.importer == name and i.at_start]
    return names


FOUND = imports(ROOT)
MODULES = modules(ROOT)


def test_imports_run_downwards():
    assert upward(FOUND) == []


def test_there_is_no_circle_within_a_package_either():
    assert circle(FOUND) == []


def test_the_files_that_newcomers_are_sent_to_are_there():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(surgaug/[\w/]+(?:\.py)?)`", text.replace("NAME.py", "__init__.py")))
    assert len(named) >= 10
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


def test_every_module_has_a_layer():
    assert {package(name) for name in MODULES} <= set().union(*LAYERS)


def test_plug_ins_import_no_plug_in():
    folders = plugin_folders(ROOT)
    assert {"surgaug.datasets.layouts", "surgaug.diffusion.samplers", "surgaug.scoring.metrics"} <= folders
    assert plugin_ties(FOUND, folders) == []


@pytest.mark.parametrize("module", [name for name in MODULES if package(name) == "surgaug.cli"])
def test_the_command_line_starts_without_heavy_libraries(module):
    assert start_up(FOUND, module) & HEAVY == set()


@pytest.mark.parametrize("module", [name for name in MODULES if package(name) == "surgaug.perturb"])
def test_perturbations_need_no_torch(module):
    assert not start_up(FOUND, module) & {"torch", "torchvision"}
    assert not {i.target.split(".")[0] for i in FOUND if i.importer == module} & {"torch", "torchvision"}


def test_samplers_import_nothing_of_ours():
    samplers = [i for i in FOUND if i.importer.startswith("surgaug.diffusion.samplers.")]
    assert samplers
    assert [i for i in samplers if i.target.split(".")[0] == "surgaug"] == []


def test_models_know_no_schedule():
    assert [
        i for i in FOUND if package(i.importer) == "surgaug.models" and package(i.target) == "surgaug.diffusion"
    ] == []


@pytest.fixture
def bad_tree(tmp_path):
    """A small tree that breaks each rule once."""
    sources = {
        "__init__": "",
        "errors": "from __future__ import annotations\nfrom surgaug.cli import main\n",
        "io/__init__": "import cv2\n",
        "io/atomic": "def f():\n    from surgaug.training import loop\n",
        "training/__init__": "",
        "training/loop": "from ..synthesis import plan\nif TYPE_CHECKING:\n    import pandas\n",
        "synthesis/__init__": "from surgaug import perturb\n",
        "synthesis/plan": "",
        "perturb/__init__": "import pkgutil\nnames = pkgutil.iter_modules\n",
        "perturb/shift": "from surgaug.perturb.rotate import f\nfrom .rotate import g\n",
        "perturb/rotate": "from surgaug.io import atomic\n",
        "cli/__init__": "from surgaug import errors\ndef main():\n    import torch\n",
        "cli/train": "from surgaug.perturb import rotate\n",
    }
    for name, text in sources.items():
        path = tmp_path / "surgaug" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_the_checks_see_what_they_should(bad_tree):
    found = imports(bad_tree)
    assert upward(found) == [
        "surgaug.errors imports surgaug.cli",
        "surgaug.io.atomic imports surgaug.training.loop",
        "surgaug.training.loop imports surgaug.synthesis.plan",
    ]
    assert circle(found) in (
        ["surgaug.cli", "surgaug.errors", "surgaug.cli"],
        ["surgaug.errors", "surgaug.cli", "surgaug.errors"],
    )
    ties = plugin_ties(found, plugin_folders(bad_tree))
    assert ties == ["surgaug.perturb.shift imports surgaug.perturb.rotate"] * 2
    assert start_up(found, "surgaug.cli") & HEAVY == set()
    assert start_up(found, "surgaug.cli.train") & HEAVY == {"cv2"}
    assert start_up(found, "surgaug.training.loop") & HEAVY == set()
