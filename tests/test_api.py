from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import surgaug
from surgaug.errors import DataError, ModelError, UsageError

NAMES = ["augment_masks", "load_model", "read_manifest", "score", "synthesize", "train"]


def test_importing_surgaug_imports_nothing_heavy() -> None:
    code = "import sys, surgaug; surgaug.__version__; print(sorted({'torch', 'cv2', 'numpy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", NAMES)
def test_each_function_is_there_typed_and_documented(name: str) -> None:
    function = getattr(surgaug, name)
    signature = inspect.signature(function)
    assert signature.return_annotation is not inspect.Signature.empty
    assert all(p.annotation is not inspect.Parameter.empty for p in signature.parameters.values())
    assert "Raises" in function.__doc__ and name in dir(surgaug)


def test_a_name_that_is_not_there() -> None:
    with pytest.raises(AttributeError, match="no attribute 'paint'"):
        surgaug.paint  # noqa: B018


def test_a_manifest_is_a_table(tmp_path: Path) -> None:
    masks, out = tmp_path / "masks", tmp_path / "out"
    for folder, text in (
        (
            masks,
            '{"index":0,"label":"labels/m.png","mask":"real","mask_file":"real.png","perturbations":[{"op":"flip"}]}',
        ),
        (out, f'{{"index":1,"image":"b.png","source":"{masks}/labels/m.png","size":[2,3]}}\n{{"index":0}}\n{{half'),
    ):
        folder.mkdir()
        (folder / "manifest.jsonl").write_text(text)
    table = surgaug.read_manifest(out)
    assert table["index"].tolist() == [0, 1] and table["size"][1] == [2, 3]
    assert table["origin"][1] == {"mask": "real", "file": "real.png", "changed": True}
    assert table["origin"].isna().tolist() == [True, False]
    assert table.attrs["damaged"] == [f"{out / 'manifest.jsonl'}: line 3"]
    assert surgaug.read_manifest(out / "manifest.jsonl").equals(table)
    assert len(surgaug.read_manifest(masks)) == 1
    with pytest.raises(DataError, match="no manifest is there"):
        surgaug.read_manifest(tmp_path)


def test_arguments_and_models_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"synthesize: no argument colour; there is .*guidance"):
        surgaug.synthesize(tmp_path, colour=3)
    with pytest.raises(UsageError, match="score: no argument colour"):
        surgaug.score(tmp_path, tmp_path, colour=3)
    with pytest.raises(ModelError, match="no such model"):
        surgaug.load_model(tmp_path / "model.safetensors")


def test_augment_is_a_text_or_a_list(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from surgaug.synthesis import run

    seen = []
    monkeypatch.setattr(run, "synthesize", lambda config, feedback, emit: seen.append(config.augment))
    for given in ("flip:0.5, shift", ["flip:0.5", "shift"], ["flip:0.5,shift"], "", []):
        surgaug.synthesize(tmp_path, augment=given)
    assert seen == [("flip:0.5", "shift")] * 3 + [()] * 2
