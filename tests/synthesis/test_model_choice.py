from __future__ import annotations

import json
import os

import pytest
from heard import Heard

from surgaug.errors import ModelError
from surgaug.synthesis.model_choice import newest_run, resolve_model


def make_run(runs, name, status, at, files=("best.safetensors", "last.safetensors")):
    run = runs / name
    run.mkdir(parents=True)
    for file in files:
        (run / file).write_bytes(b"")
    (run / "run.json").write_text(json.dumps({"status": status}))
    os.utime(run / "run.json", (at, at))
    return run


def test_order(tmp_path):
    runs, shipped = tmp_path / "runs", tmp_path / "phantom.safetensors"
    heard = Heard()
    with pytest.raises(ModelError, match="surgaug train"):
        resolve_model(None, heard, runs, shipped)
    shipped.write_bytes(b"")
    assert resolve_model(None, heard, runs, shipped) == shipped
    assert len(heard.warnings) == 1 and "PHANTOM" in heard.warnings[0]

    old = make_run(runs, "b_old", "finished", 1000)
    new = make_run(runs, "a_new", "finished", 2000, files=("last.safetensors",))
    make_run(runs, "running", "running", 3000)
    make_run(runs, "stopped", "stopped", 3000)
    make_run(runs, "empty", "finished", 3000, files=())
    (make_run(runs, "spoilt", "finished", 3000) / "run.json").write_text("{")
    heard = Heard()
    assert resolve_model(None, heard, runs, shipped) == new / "last.safetensors" == newest_run(runs)
    assert not heard.warnings and "newest finished run" in heard.infos[0]

    assert resolve_model(old, heard, runs, shipped) == old / "last.safetensors"
    assert resolve_model(old.relative_to(runs), heard, runs, shipped) == old / "last.safetensors"
    assert resolve_model(runs / "running" / "last.safetensors", heard, runs, shipped).name == "last.safetensors"
    with pytest.raises(ModelError, match="no model in this folder"):
        resolve_model(runs / "empty", heard, runs, shipped)
    with pytest.raises(ModelError, match="no such model"):
        resolve_model(tmp_path / "nowhere", heard, runs, shipped)
