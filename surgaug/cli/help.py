"""The text of `--help`: what it does, options by panel, examples. Plain text, for rich would double the time it takes.

Two columns where the terminal has room for them, else each option above its explanation.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Entry = tuple[str, str]  # a flag or a command, and what it is
TWO_COLUMNS = 60  # a narrower terminal has room for one only
WIDEST = 100
BOLD, PLAIN = "\x1b[1m", "\x1b[0m"
_TERM = 25  # the first column is no wider


@dataclass(frozen=True)
class Page:
    """One help page: the usage line, paragraphs, titled panels of entries, whole command lines, a last paragraph."""

    usage: str
    paragraphs: Sequence[str]
    panels: Sequence[tuple[str, Sequence[Entry]]]
    examples: Sequence[str] = ()
    epilog: str = ""


def render(page: Page, columns: int, bold: bool = False) -> str:
    """The page as text, no line longer than `columns` unless a single word or an example is."""
    width = max(20, min(columns, WIDEST))

    def heading(text: str) -> str:
        return f"{BOLD}{text}{PLAIN}" if bold else text

    blocks = [_wrap(f"Usage: {page.usage}", width, "", "    ").replace("Usage:", heading("Usage:"), 1)]
    blocks += [_wrap(paragraph, width, "  ") for paragraph in page.paragraphs]
    terms = [term for _, entries in page.panels for term, _ in entries if len(term) <= _TERM]
    column = max(map(len, terms), default=0) + 4
    for title, entries in page.panels:
        lines = [_entry(term, text, width, column) for term, text in entries]
        blocks.append("\n".join([heading(f"{title}:"), *lines]))
    if page.examples:
        blocks.append("\n".join([heading("Examples:"), *(f"  {line}" for line in page.examples)]))
    if page.epilog:
        blocks.append(_wrap(page.epilog, width, "  "))
    return "\n\n".join(blocks)


def split(docstring: str) -> tuple[list[str], list[str]]:
    """Paragraphs of a docstring, and the command lines of the one that begins with `Example:` or `Examples:`."""
    paragraphs, examples = [], []
    for block in re.split(r"\n\s*\n", inspect.cleandoc(docstring)):
        label = re.match(r"Examples?:\s*", block)
        if label:
            examples += [line.strip() for line in block[label.end() :].splitlines()]
        else:
            paragraphs.append(" ".join(block.split()))
    return paragraphs, examples


def usage(parameter: Any, context: Any) -> str:
    """How a required option or argument stands in the usage line: `--masks DIR`, or `FILE`."""
    if parameter.param_type_name == "argument":
        return " ".join(parameter.get_usage_pieces(context))
    return _plain_types(parameter.get_help_record(context)[0])


def panels(parameters: Sequence[Any], context: Any, last: str) -> list[tuple[str, list[Entry]]]:
    """The options of a command by panel, in the order in which they were declared; `last` is the panel at the end."""
    found: dict[str, list[Entry]] = {}
    for parameter in parameters:
        title = last if parameter.name == "help" else getattr(parameter, "rich_help_panel", None)
        record = parameter.get_help_record(context)
        if record is not None:
            kind = "Arguments" if parameter.param_type_name == "argument" else "Options"
            found.setdefault(title or kind, []).append((_plain_types(record[0]), record[1]))
    return sorted(found.items(), key=lambda item: item[0] == last)


def _entry(term: str, text: str, width: int, column: int) -> str:
    if width < TWO_COLUMNS:
        return f"  {term}\n{_wrap(text, width, '      ')}"
    body = _wrap(text, width, " " * column)
    return f"  {term}".ljust(column) + body[column:] if len(term) + 4 <= column else f"  {term}\n{body}"


def _wrap(text: str, width: int, indent: str, rest: str | None = None) -> str:
    room = width - len(indent if rest is None else rest)
    words = [word.replace(",", ", ") if len(word) > room else word for word in text.split(" ")]
    return textwrap.fill(
        " ".join(words),
        width,
        initial_indent=indent,
        subsequent_indent=indent if rest is None else rest,
        break_on_hyphens=False,
        break_long_words=False,
    )


def _plain_types(flags: str) -> str:
    """`--n <int range>` as `--n INT`: typer's names of types are Python's."""
    names = {"str": "TEXT", "list[str]": "TEXT", "list[Path]": "PATH"}
    return re.sub(r"<([^<>]+)>", lambda type_: names.get(type_[1], type_[1].split(" ")[0].upper()), flags)
