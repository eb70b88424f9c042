from __future__ import annotations

import json

import numpy as np
import pytest

from surgaug.io.atomic import write_png
from surgaug.synthesis.manifest import (
    Journal,
    complete_samples,
    join_parts,
    part_path,
    part_paths,
    read_rows,
)
from surgaug.synthesis.plan import Shard


def names(k):
    return f"images/m_{k}.png", f"labels/m_{k}.png"


def row(k, **more):
    image, label = names(k)
    return {"index": k, "image": image, "label": label, "classes": {"0": 10, str(k % 2 + 1): 5}, **more}


def finish(out, k):
    for name in names(k):
        (out / name).parent.mkdir(exist_ok=True)
        write_png(out / name, np.zeros((1, 1), np.uint8))


def rows(path):
    return [r for _, r in read_rows(path)]


def test_half_a_row_is_passed_over_and_does_not_spoil_the_next(tmp_path):
    path = part_path(tmp_path, Shard())
    with Journal(path) as journal:
        journal.append(row(0))
        journal.append(row(1))
    whole = path.read_bytes()
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        before = [r["index"] for r in rows(path)]
        with Journal(path) as journal:
            journal.append(row(2))
        after = [r["index"] for r in rows(path)]
        # a row that lacks nothing but its newline may count once the newline is there
        assert after[-1] == 2 and after[:-1] in (before, [*before, len(before)])


def test_a_sample_is_complete_with_its_row_and_both_files(tmp_path):
    with Journal(part_path(tmp_path, Shard())) as journal:
        for k in range(4):
            finish(tmp_path, k)
            journal.append(row(k))
        journal.append(row(5, image="../../etc/passwd"))
        journal.append(row(9))
    finish(tmp_path, 4)  # files without a row
    (tmp_path / names(1)[0]).unlink()
    (tmp_path / names(2)[1]).write_bytes((tmp_path / names(2)[1]).read_bytes()[:-1])  # a copy cut short
    assert complete_samples(tmp_path, 6, names).tolist() == [True, False, False, True, False, False]


def test_parts_are_joined_sorted_and_removed(tmp_path):
    for shard, indices in ((Shard(1, 2), (4, 0, 2)), (Shard(2, 2), (3, 1, 5, 1))):
        with Journal(part_path(tmp_path, shard)) as journal:
            for k in indices:
                journal.append(row(k, note="é"))
            journal.append(row(3, image="../elsewhere.png"))  # of another data set
    assert len(part_paths(tmp_path)) == 2
    totals = join_parts(tmp_path, 6, names)
    assert [p.name for p in part_paths(tmp_path)] == ["manifest.jsonl"]
    lines = (tmp_path / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["index"] for line in lines] == list(range(6))
    assert totals["pixels"] == {0: 60, 1: 15, 2: 15} and totals["images"] == {0: 6, 1: 3, 2: 3}
    join_parts(tmp_path, 6, names)  # again changes nothing
    assert (tmp_path / "manifest.jsonl").read_text(encoding="utf-8").splitlines() == lines
    with pytest.raises(ValueError, match="1 samples have no row, the first is 6"):
        join_parts(tmp_path, 7, names)
