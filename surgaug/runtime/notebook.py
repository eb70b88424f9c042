"""What long jobs and their results show in a Jupyter notebook, which brings the IPython that is used here."""

from __future__ import annotations

import base64
import html
import io
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from surgaug.runtime.feedback import Feedback, Task

SECONDS = 0.3  # between two looks at a bar
WIDTH = 900  # pixels of a picture


def usual_feedback() -> Feedback | None:
    """Progress bars where the caller is a notebook; None elsewhere, in a terminal's IPython too."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return NotebookFeedback() if shell is not None and hasattr(shell, "kernel") else None


def table_html(columns: Sequence[str], rows: Sequence[Sequence[Any]], title: str = "", caption: str = "") -> str:
    """A table; the cells are text, whatever is in them, and a dash where there is nothing."""
    head = "".join(f"<th>{_text(column)}</th>" for column in columns)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    top = f"<thead><tr>{head}</tr></thead>" if any(columns) else ""
    above = f"<p><b>{_text(title)}</b></p>" if title else ""
    return f"{above}<table>{top}<tbody>{body}</tbody></table>" + (f"<p>{_text(caption)}</p>" if caption else "")


def picture_html(path: Path) -> str:
    """A picture inside the page, so that it stays in the notebook when its file is gone; "" where there is none."""
    from PIL import Image

    if not path.is_file():
        return ""
    packed = io.BytesIO()
    with Image.open(path) as image:
        image.thumbnail((WIDTH, 4 * WIDTH))
        image.convert("RGB").save(packed, "JPEG", quality=85)
    return (
        f'<img alt="{_text(path.name)}" src="data:image/jpeg;base64,{base64.b64encode(packed.getvalue()).decode()}"/>'
    )


class NotebookFeedback:
    """Bars, messages and tables below the cell."""

    def task(self, description: str, total: float | None, unit: str = "", done: float = 0) -> Task:
        """A progress bar from `done` to `total` (None: unknown)."""
        return _Bar(description, total, unit, done)

    def info(self, message: str) -> None:
        _show(f"<div>{_text(message)}</div>")

    def warn(self, message: str) -> None:
        _show(f'<div style="color:#b35900">{_text(message)}</div>')

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], caption: str = "") -> None:
        _show(table_html(columns, rows, title, caption))


class _Bar:
    def __init__(self, description: str, total: float | None, unit: str, done: float):
        self._description, self._total, self._unit, self._done = description, total, unit, done
        self._fields: dict[str, Any] = {}
        self._start = self._shown = time.monotonic()
        self._handle = _show(self._html(), updatable=True)

    def advance(self, n: float = 1, **fields: Any) -> None:
        self._done += n
        self._fields |= fields
        if time.monotonic() - self._shown >= SECONDS:
            self._update()

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *exc: object) -> None:
        self._update()

    def _update(self) -> None:
        self._shown = time.monotonic()
        self._handle.update(_Html(self._html()))

    def _html(self) -> str:
        ends = f' value="{self._done:g}" max="{self._total:g}"' if self._total else ""
        count = f"{self._done:,.4g}" + (f"/{self._total:,.4g}" if self._total else "")
        seconds = round(time.monotonic() - self._start)
        more = "  ".join(f"{key}={value:.4g}" if isinstance(value, float) else f"{key}={value}"
                         for key, value in self._fields.items())  # fmt: skip
        told = f"{count} {self._unit}  {seconds // 60}:{seconds % 60:02d}  {more}"
        return f"<div>{_text(self._description)} <progress{ends}></progress> {_text(told)}</div>"


class _Html:
    """What IPython shows as it stands."""

    def __init__(self, text: str):
        self._text = text

    def _repr_html_(self) -> str:
        return self._text


def _show(text: str, updatable: bool = False) -> Any:
    from IPython.display import display

    return display(_Html(text), display_id=True if updatable else None)


def _cell(value: Any) -> str:
    return f"<td>{'-' if value is None else _text(value)}</td>"


def _text(value: Any) -> str:
    return html.escape(str(value))
