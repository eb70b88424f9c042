"""What the docs say is so: command lines parse, links lead somewhere, pictures are small, the recipe works."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest
import typer

from surgaug.cli import COMMANDS, root

ROOT = Path(__file__).resolve().parents[1]
WRITTEN_AT_BUILD = {ROOT / "docs" / "commands.md"}
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *(page for page in sorted((ROOT / "docs").glob("*.md")) if page not in WRITTEN_AT_BUILD),
]
SCRIPTS = sorted((ROOT / "examples").glob("*.sh"))
pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def command_lines(text: str) -> list[str]:
    """`surgaug ...` in indented or fenced blocks and in `code`, continued lines joined; one for each part of a pipe."""
    text = re.sub(r"\\\n\s*", " ", text)
    blocks = [line.strip() for line in text.splitlines() if re.match(r"( {4,}|\$ )?surgaug ", line)]
    spans = [" ".join(span.split()) for span in re.findall(r"(?<!`)`(surgaug [^`]+)`", text)]
    parts = [part.strip() for line in [*blocks, *spans] for part in re.split(r"\s[|;]\s|\s&&?\s|\s>\s|\s#\s", line)]
    return [part for part in parts if part.startswith("surgaug ")]


def complaint(line: str) -> str | None:
    """What the program's own parser says against a command line; None if nothing. Values are not looked at."""
    words = shlex.split(re.sub(r"\.\.\.|…|\$\(.*?\)|\[[^]]*\]", "", line))[1:]
    group = typer.main.get_command(root)
    flags = {flag for parameter in group.params for flag in parameter.opts} | {"--help", "-h"}
    while words and words[0].startswith("-"):
        if words.pop(0) not in flags:
            return f"no such option: {line}"
    if not words or words[0] == "COMMAND":
        return None
    if words[0] not in COMMANDS:
        return f"no such command: {line}"
    with group.make_context("surgaug", ["--help"], resilient_parsing=True) as context:
        command = group.get_command(context, words[0])
    known = {flag for parameter in command.params for flag in (*parameter.opts, *parameter.secondary_opts)}
    unknown = {word.split("=")[0] for word in words[1:] if re.match(r"--?[a-z]", word)} - known - {"--help", "-h"}
    return f"{line}: there is no {', '.join(sorted(unknown))}" if unknown else None


@pytest.mark.parametrize("page", [*PAGES, *SCRIPTS], ids=lambda page: page.name)
def test_command_lines_parse(page):
    lines = command_lines(page.read_text(encoding="utf-8"))
    assert [wrong for line in lines if (wrong := complaint(line))] == []


def test_the_check_of_command_lines_sees_what_it_should():
    text = "    surgaug export --data d | surgaug synthesise --masks -\n\n`surgaug train --dta x`, `surgaug --debug`"
    assert [complaint(line) for line in command_lines(text)] == [
        None,
        "no such command: surgaug synthesise --masks -",
        "surgaug train --dta x: there is no --dta",
        None,
    ]
    assert sum(len(command_lines(page.read_text(encoding="utf-8"))) for page in PAGES) > 30


@pages
def test_links_lead_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    dead = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = unquote(target).partition("#")
        path = (page.parent / name).resolve() if name else page
        exists = path in WRITTEN_AT_BUILD or path.exists()
        is_page = exists and path.suffix == ".md" and path not in WRITTEN_AT_BUILD
        if not exists or (anchor and is_page and anchor not in anchors(path.read_text(encoding="utf-8"))):
            dead.append(target)
    assert dead == []


def anchors(text: str) -> set[str]:
    """The names that code hosts and Sphinx give to headings."""
    titles = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", title.lower())) for title in titles}


def test_pictures_are_small_and_shown():
    shown = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    for picture in sorted((ROOT / "docs" / "pictures").iterdir()):
        assert picture.stat().st_size < 150_000, picture.name
        assert picture.name in shown


@pytest.mark.slow
def test_the_recipe_of_a_sampler_works_in_a_copy_of_the_sources(tmp_path):
    copy = tmp_path / "surgaug"
    shutil.copytree(ROOT / "surgaug", copy / "surgaug", ignore=shutil.ignore_patterns("__pycache__"))
    text = (ROOT / "docs" / "extend.md").read_text(encoding="utf-8")
    steps = re.findall(r"`((?:surgaug|tests)/[\w/]+\.py)`.*?\n```python\n(.*?)```", text, flags=re.DOTALL)
    written = [path for path, _ in steps if path.endswith("heun.py")]
    assert written == ["surgaug/diffusion/samplers/heun.py", "tests/diffusion/test_heun.py"]
    for path, code in steps:
        (copy / path).parent.mkdir(parents=True, exist_ok=True)
        (copy / path).write_text(code, encoding="utf-8")

    def python(*argv: str) -> str:
        env = {**os.environ, "PYTHONPATH": str(copy), "COLUMNS": "80"}
        done = subprocess.run(
            [sys.executable, *argv], cwd=copy, env=env, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert "2 passed" in python("-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/diffusion/test_heun.py")
    assert "heun" in python("-m", "surgaug", "synthesize", "--help")
    line = next(line for line in command_lines(text) if "heun" in line)
    (copy / "frames" / "val").mkdir(parents=True)
    draw = "atomic.write_png('frames/val/0.png', phantom.render(0, (32, 56))[1])"
    python("-c", f"from surgaug.data import atomic, phantom; {draw}")
    shorter = shlex.split(line.replace("--n 8", "--n 1").replace("--steps 10", "--steps 2"))[1:]
    python("-m", "surgaug", *shorter, "--classes", "cadis", "--size", "32x56")
    assert len(list((copy / "synthetic" / "images").iterdir())) == 1
