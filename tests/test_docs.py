"""What the docs say is so: command lines parse, links lead somewhere, pictures are small, the recipes work."""

from __future__ import annotations

import dataclasses
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
from surgaug.training.config import Cascade
from surgaug.training.presets import preset

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


def test_the_table_of_training_settings_is_the_programs():
    page = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    (section,) = re.findall(r"^## Settings of `train`$(.*?)^## ", page, flags=re.MULTILINE | re.DOTALL)
    told = {}
    for keys, values in re.findall(r"^\| (`[^|]+`) \| (`[^|]+`) \|", section, flags=re.MULTILINE):
        names, shown = re.findall(r"`([^`]+)`", keys), re.findall(r"`([^`]+)`", values)
        told |= dict(zip(names, shown if len(shown) > 1 else shown * len(names), strict=True))
    tiny = dataclasses.replace(preset("tiny", minutes=1.0), cascade=Cascade())
    with typer.main.get_command(root).make_context("surgaug", ["--help"], resilient_parsing=True) as context:
        own_flags = {parameter.name.rstrip("_") for parameter in context.command.get_command(context, "train").params}
    settings = {key: value for key, value in flat(tiny).items() if key not in own_flags | {"adversary"}}
    assert told == {key: written(value) for key, value in settings.items()}


def flat(config, prefix=""):
    """The settings of a configuration by dotted key."""
    found = {}
    for field in dataclasses.fields(config):
        value, key = getattr(config, field.name), prefix + field.name
        found |= flat(value, f"{key}.") if dataclasses.is_dataclass(value) else {key: value}
    return found


def written(value):
    """A setting's value as `--set` takes it."""
    if isinstance(value, (tuple, list)):
        return ",".join(map(written, value))
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


@pytest.mark.slow
def test_the_recipes_of_plug_ins_work_in_a_copy_of_the_sources(tmp_path):
    copy = tmp_path / "surgaug"
    shutil.copytree(ROOT / "surgaug", copy / "surgaug", ignore=shutil.ignore_patterns("__pycache__"))
    text = (ROOT / "docs" / "extend.md").read_text(encoding="utf-8")
    steps = re.findall(r"`((?:surgaug|tests)/[\w/]+\.py)`[^`]*:\n\n```python\n(.*?)```", text, flags=re.DOTALL)
    assert [Path(path).stem for path, _ in steps] == ["heun", "test_heun", "mae", "half_turn", "flat"]
    for path, code in steps:
        (copy / path).parent.mkdir(parents=True, exist_ok=True)
        (copy / path).write_text(code, encoding="utf-8")
    choices = copy / "surgaug" / "cli" / "choices.py"
    choices.write_text(
        choices.read_text(encoding="utf-8").replace("WRITTEN = (", 'WRITTEN = ("flat", '), encoding="utf-8"
    )

    order = copy / "surgaug" / "perturb" / "ops" / "__init__.py"
    (line,) = re.findall(r"```python\n( {4}\"half_turn\".*\n)```", text)
    order.write_text(order.read_text(encoding="utf-8").replace('    "flip": ', f'{line}    "flip": '), encoding="utf-8")

    def python(*argv: str) -> str:
        env = {**os.environ, "PYTHONPATH": str(copy), "COLUMNS": "80", "SURGAUG_CACHE": str(tmp_path / "cache")}
        done = subprocess.run(
            [sys.executable, *argv], cwd=copy, env=env, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def follow(start: str, *more: str, **fewer: int) -> str:
        """The page's command line that begins so, with fewer samples and steps."""
        words = shlex.split(next(line for line in command_lines(text) if line.startswith(f"surgaug {start}")))[1:]
        for flag, value in fewer.items():
            words[words.index(f"--{flag}") + 1] = str(value)
        return python("-m", "surgaug", *words, *more)

    python("-m", "ruff", "check", "--config", str(ROOT / "pyproject.toml"), *(path for path, _ in steps))
    assert "2 passed" in python("-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/diffusion/test_heun.py")
    assert "heun" in python("-m", "surgaug", "synthesize", "--help")
    pair = "zip(('images', 'labels'), phantom.render(0, (32, 56)), strict=True)"
    draw = f"[atomic.write_png(f'frames/val/{{kind}}/0.png', part) for kind, part in {pair}]"
    for kind in ("images", "labels"):
        (copy / "frames" / "val" / kind).mkdir(parents=True)
    python("-c", f"from surgaug import phantom; from surgaug.io import atomic; {draw}")
    small = ("--classes", "cadis", "--size", "32x56")
    follow("synthesize --masks frames/val --n 8 --sampler heun", *small, n=1, steps=2)
    assert len(list((copy / "synthetic" / "images").iterdir())) == 1
    assert "MAE" in follow("score", "--classes", "cadis")
    follow("augment-masks", "--classes", "cadis", n=2)
    assert '"degrees":180' in (copy / "turned" / "manifest.jsonl").read_text(encoding="utf-8")
    follow("synthesize --masks frames/val --n 8 --layout flat", *small, "--steps", "1", n=1)
    assert "layout       flat" in follow("inspect flat")
