"""Manifests and descriptions of any content: read for what they are, or refused by an error of the package's own."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

import surgaug
from surgaug.datasets.dataset import open_pairs
from surgaug.errors import SurgaugError
from surgaug.export import ExportConfig, export
from surgaug.inspect.run import inspect
from surgaug.io.journal import Journal
from surgaug.io.manifest import Row
from surgaug.io.output_folder import refuse_other_settings
from surgaug.labels.builtin_spaces import load_space
from surgaug.perturb.output import Tally
from surgaug.runtime.feedback import Silent
from surgaug.scoring.inputs import open_folder, pair

NAMES = [f"Video1_frame00000{k}" for k in range(3)]
GOOD = [
    {
        "index": k,
        "image": f"images/{name}.png",
        "label": f"labels/{name}.png",
        "mask": name,
        "source": f"out/labels/{name}.png",
        "perturbations": [{"op": "flip", "tries": 1, "degrees": 3.5}],
        "classes": {"0": 30, "4": 34},
        "size": [8, 8],
        "sampler": "ddim",
        "checks": {"not_flat": True},
        "refused": {"flip: x": 1},
        "plausibility": 0.5,
    }
    for k, name in enumerate(NAMES)
]
DESCRIPTION = {
    "format": "surgaug-dataset-1",
    "surgaug": "0.1.0",
    "complete": True,
    "samples": 3,
    "masks": {"source": "frames", "count": 3},
    "model": {"file": "run/last.safetensors", "hash": "00"},
    "settings": {"seed": 7, "sampler": "ddim", "options": {"guidance_below": 5.0}},
    "layout": "folders",
    "label_space": load_space("cadis").to_dict(),
}
TEXTS = st.sampled_from(
    ["", "a", *NAMES, GOOD[0]["image"], "..", "/", "\0", "a" * 300, "b" * 5000, "\ud800", "out/x.png"]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXTS | st.text(max_size=8)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS | st.text(max_size=4), inner, max_size=3)
)
QUICK = settings(
    max_examples=30, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def dump(value: Any) -> bytes:
    return json.dumps(value).encode()


@st.composite
def rows(draw: Callable) -> bytes:
    """Good rows with some of their values replaced by anything."""
    keys = st.sampled_from([*Row.__annotations__, "mask_file", "else"])
    changes = draw(st.lists(st.dictionaries(keys, VALUES, max_size=3), min_size=3, max_size=3))
    return b"\n".join(dump(row | change) for row, change in zip(GOOD, changes, strict=True))


def spoilt(content: bytes) -> st.SearchStrategy[bytes]:
    """`content` with a piece of it replaced by any bytes."""
    ends = st.integers(0, len(content))
    return st.builds(lambda a, b, new: content[: min(a, b)] + new + content[max(a, b) :], ends, ends, st.binary())


def described(path: tuple[str, ...], value: Any) -> bytes:
    """The description with one of its values replaced."""
    made = json.loads(json.dumps(DESCRIPTION))
    at = made
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return dump(made)


PATHS = st.sampled_from(
    [
        *((key,) for key in DESCRIPTION),
        ("settings", "seed"),
        ("settings", "options"),
        ("masks", "source"),
        ("model", "hash"),
        ("label_space", "name"),
        ("label_space", "ignore"),
        ("label_space", "classes"),
        ("values",),
        ("sources",),
    ]
)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A finished output of synthesize, three pairs of 8x8."""
    rng = np.random.default_rng(0)
    for folder, shape in (("images", (8, 8, 3)), ("labels", (8, 8))):
        (tmp_path / "out" / folder).mkdir(parents=True)
        for name in NAMES:
            array = rng.integers(0, 200, shape) if folder == "images" else 4 * rng.integers(0, 2, shape)
            Image.fromarray(array.astype(np.uint8)).save(tmp_path / "out" / folder / f"{name}.png")
    (tmp_path / "out" / "dataset.json").write_bytes(dump(DESCRIPTION))
    (tmp_path / "out" / "manifest.jsonl").write_bytes(b"\n".join(map(dump, GOOD)) + b"\n")
    return tmp_path / "out"


def use(out: Path) -> None:
    """Everything that reads an output folder."""
    json.dumps(inspect(out).to_dict())
    inspect(out / "manifest.jsonl")
    with suppress(SurgaugError):
        surgaug.read_manifest(out)
    with suppress(SurgaugError):
        folder = open_folder(out, "auto", Silent())
        pair(folder, folder)
        assert len(folder.sources()) == len(folder.names)
    with suppress(SurgaugError):
        export(ExportConfig(out, out.parent / "set", (out,)))
    with Journal(out, lambda k: (GOOD[k]["image"], GOOD[k]["label"]) if k in range(3) else None) as manifest:
        tally = Tally()
        for row in manifest.rows():
            if "classes" in row and "perturbations" in row:
                tally.add(row)


@QUICK
@given(st.one_of(rows(), spoilt(b"\n".join(map(dump, GOOD))), st.binary()))
def test_manifests(out: Path, content: bytes) -> None:
    (out / "manifest.jsonl").write_bytes(content)
    use(out)


@QUICK
@given(st.one_of(st.builds(described, PATHS, VALUES), spoilt(dump(DESCRIPTION)), VALUES.map(dump), st.binary()))
def test_descriptions(out: Path, content: bytes) -> None:
    (out / "dataset.json").write_bytes(content)
    use(out)
    with suppress(SurgaugError):
        open_pairs(out)
    with suppress(SurgaugError):
        refuse_other_settings(out / "dataset.json", DESCRIPTION, "a data set")
