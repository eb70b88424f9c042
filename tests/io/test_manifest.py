from __future__ import annotations

import json
import tracemalloc

import numpy as np
import pytest

from surgaug.errors import UsageError
from surgaug.io import journal
from surgaug.io.atomic import write_png
from surgaug.io.journal import Journal
from surgaug.io.manifest import count_lines, part_path, part_paths, read_lines, read_rows


def names(k):
    return f"images/m_{k}.png", f"labels/m_{k}.png"


def row(k, **more):
    image, label = names(k)
    return {"index": k, "image": image, "label": label, "classes": {"0": 10, str(k % 2 + 1): 5}, **more}


def finish(out, k):
    for name in names(k):
        (out / name).parent.mkdir(exist_ok=True)
        write_png(out / name, np.zeros((1, 1), np.uint8))


def of_six(k):
    return names(k) if 0 <= k < 6 else None


def rows(path):
    return [line.row for line in read_lines(path) if line.row is not None]


def test_half_a_row_is_passed_over_and_does_not_spoil_the_next(tmp_path):
    path = part_path(tmp_path)
    with Journal(tmp_path, names) as manifest:
        manifest.append([row(0)])
        manifest.append([row(1)])
    whole = path.read_bytes()
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        before = [r["index"] for r in rows(path)]
        with Journal(tmp_path, names) as manifest:
            manifest.append([row(2)])
        after = [r["index"] for r in rows(path)]
        # a row that lacks nothing but its newline may count once the newline is there
        assert after[-1] == 2 and after[:-1] in (before, [*before, len(before)])


def test_a_sample_is_complete_with_its_row_and_both_files(tmp_path):
    with Journal(tmp_path, of_six) as manifest:
        for k in range(4):
            finish(tmp_path, k)
            manifest.append([row(k)])
        manifest.append([row(5, image="../../etc/passwd"), row(9)])
    finish(tmp_path, 4)  # files without a row
    (tmp_path / names(1)[0]).unlink()
    (tmp_path / names(2)[1]).write_bytes((tmp_path / names(2)[1]).read_bytes()[:-1])  # a copy cut short
    done = Journal(tmp_path, of_six)
    assert [k in done for k in range(6)] == [True, False, False, True, False, False]


def test_a_judged_sample_is_complete_with_its_whole_label_map(tmp_path):
    (tmp_path / "labels_full").mkdir()
    with Journal(tmp_path, of_six) as manifest:
        for k in range(5):
            finish(tmp_path, k)
            write_png(tmp_path / f"labels_full/m_{k}.png", np.zeros((1, 1), np.uint8))
            manifest.append([row(k, label_full=f"labels_full/m_{k if k < 4 else 0}.png")])
    (tmp_path / "labels_full/m_1.png").unlink()
    (tmp_path / "labels_full/m_2.png").write_bytes((tmp_path / "labels_full/m_2.png").read_bytes()[:-1])
    assert Journal(tmp_path, of_six).made == [0, 3]


def test_a_row_that_says_other_settings_is_refused(tmp_path):
    settings = {"seed": 3, "options": {"eta": 0.5, "spacing": "karras"}, "second": {"steps": 8, "start": None}}
    second = {"steps": 8, "start": None}
    for k, more in enumerate([{}, {"seed": 3}, {"options": {"eta": 0.5}}, {"second": second}, {"compiled": True}]):
        finish(tmp_path, k)
        with Journal(tmp_path, of_six) as manifest:
            manifest.append([row(k, **more)])
    assert len(Journal(tmp_path, of_six, settings=settings)) == 5, "what rows do not say is not held against them"
    with Journal(tmp_path, of_six, part="1-of-2") as manifest:
        manifest.append([row(9, seed=3, options={"eta": 0.25}, second={**second, "steps": 4})])
    said = r"manifest-1-of-2\.jsonl: line 1: .*\(options.eta: 0.25 there, 0.5 now; second.steps: 4 there, 8 now\)"
    with pytest.raises(UsageError, match=said):
        Journal(tmp_path, of_six, settings=settings, only={0})


def test_rows_without_what_is_needed_of_them_do_not_count(tmp_path):
    finish(tmp_path, 0)
    finish(tmp_path, 1)
    with Journal(tmp_path, names) as manifest:
        manifest.append([row(0), {key: value for key, value in row(1).items() if key != "classes"}])
    assert Journal(tmp_path, names).made == [0, 1]
    assert Journal(tmp_path, names, required=("classes",)).made == [0]


def test_parts_are_joined_sorted_and_removed(tmp_path):
    for k in range(6):
        finish(tmp_path, k)
    for part, indices in (("1-of-2", (4, 0, 2)), ("2-of-2", (3, 1, 5, 1))):
        with Journal(tmp_path, of_six, part=part) as manifest:
            for k in indices:
                manifest.append([row(k, note="é")])
            manifest.append([row(3, image="../elsewhere.png")])  # of another data set
    assert len(part_paths(tmp_path)) == 2
    manifest = Journal(tmp_path, of_six, part="2-of-2")
    manifest.join(range(6))
    assert [p.name for p in part_paths(tmp_path)] == ["manifest.jsonl"]
    lines = (tmp_path / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["index"] for line in lines] == list(range(6)) and "é" in lines[0]
    assert [r["index"] for r in manifest.rows()] == list(range(6))
    again = Journal(tmp_path, of_six)
    again.join(range(6))  # again changes nothing
    assert (tmp_path / "manifest.jsonl").read_text(encoding="utf-8").splitlines() == lines
    with pytest.raises(ValueError, match="1 samples have no row, the first is 6"):
        again.join(range(7))


@pytest.mark.parametrize(
    "name", ["manifest_mine_backup.jsonl", "manifest-old.jsonl", "manifest (1).jsonl", "manifest-1-of-2.jsonl.jsonl"]
)
def test_a_copy_by_a_users_own_name_is_no_part(tmp_path, name):
    finish(tmp_path, 0)
    with Journal(tmp_path, of_six) as manifest:
        manifest.append([row(0)])
    (tmp_path / name).write_text((tmp_path / "manifest.jsonl").read_text())
    with Journal(tmp_path, of_six, part="2-of-2_1-of-3") as manifest:
        finish(tmp_path, 1)
        manifest.append([row(1)])
    assert [path.name for path in part_paths(tmp_path)] == ["manifest-2-of-2_1-of-3.jsonl", "manifest.jsonl"]
    manifest.join(range(2))
    assert (tmp_path / name).is_file() and [r["index"] for r in read_rows(tmp_path)[0]] == [0, 1]


def test_what_another_shard_wrote_meanwhile_is_seen(tmp_path):
    for k in range(2):
        finish(tmp_path, k)
    first, second = (Journal(tmp_path, names, part=f"{i}-of-2") for i in (1, 2))
    first.append([row(0)])
    second.append([row(1)])
    first.refresh()
    assert first.made == [0, 1] and second.made == [1]
    first.join(range(2))
    second.refresh()
    assert second.made == [0, 1]
    second.join(range(2))
    assert [path.name for path in part_paths(tmp_path)] == ["manifest.jsonl"]


def test_rows_stay_on_the_disk(tmp_path):
    def name(k):
        return (f"labels/a_{k:06d}.png",)

    (tmp_path / "labels").mkdir()
    write_png(tmp_path / "labels" / "a.png", np.zeros((1, 1), np.uint8))
    for k in range(2000):
        (tmp_path / name(k)[0]).hardlink_to(tmp_path / "labels" / "a.png")
    with Journal(tmp_path, name) as manifest:
        tracemalloc.start()
        for k in reversed(range(2000)):
            manifest.append([{"index": k, "label": name(k)[0], "refused": {"x" * 2000: k}}])
        manifest.join()
        assert [row["index"] for row in manifest.rows()] == manifest.made == list(range(2000))
        held = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
    assert held < 2000 * 400, "bytes"
    with Journal(tmp_path, name) as again:
        assert next(again.rows([1500]))["refused"] == {"x" * 2000: 1500} and len(again) == 2000


@pytest.mark.parametrize(
    "line",
    [
        "{half",
        "[1]",
        "7",
        '{"index": "0"}',
        '{"index": true}',
        '{"label": "a\\u0000.png"}',
        '{"image": "\\ud800.png"}',
        '{"classes": {"iris": 3}}',
        '{"classes": {"1": -3}}',
        '{"perturbations": [{"degrees": 3}]}',
        '{"size": [3]}',
        '{"origin": {"changed": 1}}',
        "[" * 100_000,
        '{"index": ' + "9" * 10_000 + "}",
    ],
)
def test_lines_that_are_no_row_are_counted(tmp_path, line):
    file = tmp_path / "manifest.jsonl"
    file.write_text(f"{json.dumps(row(0))}\n\n{line}\n{json.dumps(row(1))}")
    read, damaged = read_rows(tmp_path)
    assert [r["index"] for r in read] == [0, 1] and damaged == [f"{file}: line 3"]


def test_keys_of_0_1_and_keys_of_tomorrow(tmp_path):
    (tmp_path / "manifest.jsonl").write_text('{"index":0,"mask_file":"a.png","video":null,"hue":[1]}\n')
    assert read_rows(tmp_path) == ([{"index": 0, "source": "a.png", "mask_file": "a.png", "hue": [1]}], [])


def test_lines_are_counted_without_parsing(tmp_path):
    assert count_lines(tmp_path) == 0
    part_path(tmp_path, "1-of-2").write_bytes(b'{"index":0}\n{"index":1}')  # the last one without its end
    part_path(tmp_path, "2-of-2").write_bytes(b'{"index":2}\n')
    assert count_lines(tmp_path) == 3


def test_a_shard_opens_the_files_of_its_own_samples_alone(tmp_path, monkeypatch):
    with Journal(tmp_path, of_six) as manifest:
        for k in range(6):
            finish(tmp_path, k)
        manifest.append(row(k) for k in range(6))
    looked_at = []
    monkeypatch.setattr(journal, "is_whole", lambda path: looked_at.append(path.name) or True)
    own = Journal(tmp_path, of_six, only={1, 4})
    assert own.made == [1, 4] and sorted(looked_at) == ["m_1.png"] * 2 + ["m_4.png"] * 2
    own.refresh()
    assert own.made == list(range(6))
