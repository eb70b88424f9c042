"""The command reference, docs/commands.md, from the program itself. Sphinx calls it; run alone, it prints the page."""

import re
import sys
from typing import Any

import typer

from surgaug.cli import COMMANDS, root

HEAD = """# Commands

What `surgaug COMMAND --help` says, one command after the other; written from the program when these pages are built.
Every flag may stand in [surgaug.toml](reference.md#surgaug-toml) as well.

"""


def pages() -> str:
    """All commands as one Markdown page."""
    group = typer.main.get_command(root)
    with group.make_context("surgaug", ["--help"], resilient_parsing=True) as context:
        return HEAD + "\n\n".join(_section(group.get_command(context, name), name, context) for name in COMMANDS) + "\n"


def _section(command: Any, name: str, parent: Any) -> str:
    with command.make_context(name, [], parent=parent, resilient_parsing=True) as context:
        page = command.page(context)
    parts = [f"## {name}", f"    {page.usage}", *map(_prose, page.paragraphs)]
    parts += ["\n".join(f"    {line}" for line in page.examples)]
    for title, entries in page.panels:
        lines = [f"- `{term}`: {_prose(text)}" for term, text in entries]
        parts.append("\n".join([f"**{title}**\n", *lines]))
    return "\n\n".join(parts)


def _prose(text: str) -> str:
    """Plain text as Markdown: what would be markup is not."""
    return re.sub(r"([\\`*_<>\[\]$])", r"\\\1", " ".join(text.split()))


if __name__ == "__main__":
    sys.stdout.write(pages())
