"""The README of an exported data set: what is real, what is synthetic and of which model, splits, classes, and what its
owner has to fill in. For Hugging Face it begins as a data card does (huggingface.co/docs/hub/datasets-cards).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from surgaug.datasets.stored_ids import FOLDERS_DESCRIPTION
from surgaug.io.output_folder import read_description
from surgaug.labels.label_space import LabelSpace

FILE = "README.md"
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


@dataclass(frozen=True)
class Source:
    """A synthetic set that went in: its folder, and what its description says of model and sampling."""

    folder: str
    model: str
    settings: str


def source(folder: Path) -> Source:
    """What the description in a synthetic set says; "not known" where it has none."""
    file = folder / FOLDERS_DESCRIPTION
    said: Mapping[str, Any] = read_description(file) if file.is_file() else {}
    model, settings = said.get("model"), said.get("settings")
    named = f"{model.get('file')} (sha256 {str(model.get('hash'))[:12]})" if isinstance(model, Mapping) else "not known"
    told = settings if isinstance(settings, Mapping) else {}
    shown = [
        f"{key} {told[key]}" for key in ("sampler", "steps", "guidance", "style", "seed") if told.get(key) is not None
    ]
    return Source(str(folder), named, ", ".join(shown) or "not known")


def card(
    name: str,
    layout: str,
    splits: Mapping[str, Mapping[str, int]],
    space: LabelSpace,
    real: str,
    sources: Sequence[Source],
) -> str:
    """The text. splits: numbers of real and synthetic pairs by split. real: the data set of the real frames."""
    numbers = {kind: sum(split[kind] for split in splits.values()) for kind in ("real", "synthetic")}
    front = _front_matter(name, sum(numbers.values()), bool(numbers["synthetic"])) if layout == "hf" else ""
    made = [f"- `{s.folder}`: model {s.model}; {s.settings}" for s in sources]
    synthetic = [
        f"The {numbers['synthetic']:,} synthetic ones were made by surgaug from label maps, and no surgeon has seen "
        "them. They stand in the training split alone, and none is made from a label map of a validation or test "
        "frame, or of its video, as far as the manifests tell.",
        "\n".join(made),
    ]
    parts = [
        f"# {name}",
        f"Surgical images with label maps for semantic segmentation, in the layout `{layout}`. The {numbers['real']:,} "
        f"real frames come from `{real}`. `manifest.jsonl` says of each pair whether it is synthetic, and what it is "
        "made from.",
        *(synthetic if numbers["synthetic"] else []),
        "## Splits",
        _table(
            ["split", "real", "synthetic"], [[s, f"{n['real']:,}", f"{n['synthetic']:,}"] for s, n in splits.items()]
        ),
        "## Classes",
        f"{space.num_classes} classes"
        + (f"; {space.ignore} marks pixels without label" if space.ignore is not None else "")
        + ". Ids are those of the source; how the layout stores them stands in its description file.",
        _table(["id", "class", "kind"], [[str(c.id), c.name, c.kind] for c in space.classes]),
        "## How good the synthetic images are\n\nTO FILL IN: `surgaug score --real DIR --synth DIR --json FILE "
        "--utility` says how close they come to real frames and whether a segmentation network is better with them."
        if numbers["synthetic"]
        else "",
        "## Licence and people\n\nTO FILL IN: licence of the real frames (it holds for what is made from them, too); "
        "who may use this data set, and for what; consent and ethics approval; whom to ask; what to cite.",
    ]
    return front + "\n\n".join(part for part in parts if part) + "\n"


def _front_matter(name: str, pairs: int, synthetic: bool) -> str:
    size = next((word for most, word in _SIZES if pairs < most), "n>1M")
    tags = ["medical", "surgery", *(["synthetic"] if synthetic else [])]
    lines = ["license: other", "task_categories:", "- image-segmentation", "tags:", *(f"- {tag}" for tag in tags)]
    lines += ["size_categories:", f"- {size}", f"pretty_name: {json.dumps(name, ensure_ascii=False)}"]
    return "\n".join(["---", *lines, "---", ""]) + "\n"


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    cells = [columns, ["---"] * len(columns), *([c.replace("|", "\\|") for c in row] for row in rows)]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)
