"""Sphinx configuration: `sphinx-build -W docs docs/_build`. Pages are Markdown, and read the same on a code host."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
sys.path.insert(0, str(HERE.parent))  # the sources beside these pages, not an older installation

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
myst_heading_anchors = 3
autodoc_typehints = "signature"
autodoc_preserve_defaults = True


def setup(app: object) -> None:
    """Write the command reference anew, so that it says what the program says."""
    (HERE / "commands.md").write_text(pages(), encoding="utf-8")
