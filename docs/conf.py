"""Sphinx configuration: `sphinx-build -W docs docs/_build`. Pages are Markdown, and read the same on a code host."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
sys.path.insert(0, str(HERE.parent))  # the sources beside these pages, not an older installation

from docutils import nodes  # noqa: E402
from latex2mathml.converter import convert  # noqa: E402
from sphinx.application import Sphinx  # noqa: E402
from write_commands import pages  # noqa: E402

from surgaug import __version__  # noqa: E402

project = "surgaug"
author = "The surgaug developers"
project_copyright = author
release = version = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"surgaug {release}"
html_show_sourcelink = False
smartquotes = False  # they would make --minutes an en dash and a word
highlight_language = "none"  # indented blocks are command lines and file trees

myst_enable_extensions = ["dollarmath"]
html_math_renderer = "mathml"
myst_heading_anchors = 3
autodoc_typehints = "signature"
autodoc_preserve_defaults = True


def inline_math(page, node: nodes.math) -> None:
    """An equation as MathML, which browsers draw by themselves: these pages need no network."""
    page.body.append(convert(node.astext()))
    raise nodes.SkipNode


def block_math(page, node: nodes.math_block) -> None:
    """The same on a line of its own, its number at some distance."""
    latex = node.astext().replace("\\tag", "\\qquad\\tag")
    page.body.append(f'<div style="overflow: auto hidden; padding: 0.3em 0">{convert(latex, display="block")}</div>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> None:
    """Write the command reference anew, so that it says what the program says."""
    app.add_html_math_renderer("mathml", (inline_math, None), (block_math, None))
    (HERE / "commands.md").write_text(pages(), encoding="utf-8")
