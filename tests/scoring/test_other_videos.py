"""The second yardstick: which videos make it, what they are held against, and what `score` says by it."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from surgaug import phantom
from surgaug.runtime.feedback import Silent
from surgaug.scoring import metrics
from surgaug.scoring.compute.distances import kernel_distance
from surgaug.scoring.compute.energy import energy_distance, separation
from surgaug.scoring.compute.intervals import set_measures
from surgaug.scoring.compute.other_videos import FEWEST_FRAMES, MOST_FRAMES, TOGETHER, frames_of_videos, sides
from surgaug.scoring.config import ScoreConfig
from surgaug.scoring.report.notes import report_notes
from surgaug.scoring.report.tables import tables
from surgaug.scoring.run import run_score


def test_videos_of_few_frames_are_left_out_and_those_of_many_thinned_evenly():
    videos = ["few"] * (FEWEST_FRAMES - 1) + ["many"] * 3 * MOST_FRAMES + [None] * 20 + ["enough"] * FEWEST_FRAMES
    found = frames_of_videos(videos)
    assert list(found) == ["enough", "many"]
    assert found["enough"].tolist() == [i for i, video in enumerate(videos) if video == "enough"]
    assert len(found["many"]) == MOST_FRAMES and set(np.diff(found["many"])) <= {3, 4}
    assert list(frames_of_videos(videos, ["many"])) == ["enough"]


def test_a_video_of_the_real_frames_is_held_against_the_rest_and_others_against_all():
    real, other = np.arange(40.0).reshape(20, 2), np.ones((9, 2))
    videos = ["a"] * 10 + ["b"] * 10
    found = sides(real, videos, {"c": other})
    assert list(found) == ["a", "b", "c"]
    for video, frames, against in (("a", real[:10], real[10:]), ("b", real[10:], real[:10]), ("c", other, real)):
        assert (found[video][0] == frames).all() and (found[video][1] == against).all()
    assert sides(real, ["a"] * 20, {}) == {}  # nothing is left to hold it against


def test_a_figure_of_other_videos_is_that_of_all_their_frames_or_at_equal_size():
    rng = np.random.default_rng(0)
    real, synth = rng.normal(size=(40, 3)), rng.normal(1, 1, (30, 3))
    videos = sides(real, [None] * 40, {"near": rng.normal(0.5, 1, (25, 3)), "small": rng.normal(2, 1, (9, 3))})
    assert list(videos) == ["near", "small", TOGETHER] and len(videos[TOGETHER][0]) == 34
    (kid,) = set_measures(metrics.get("kid"), real, synth, 10, 0, videos)
    for video, value in {**kid.others, TOGETHER: kid.together}.items():
        assert value == pytest.approx(kernel_distance(real, videos[video][0])[0])
    assert set(kid.others) == {"near", "small"}
    (frechet,) = set_measures(metrics.get("frechet"), real, synth, 10, 0, videos)
    assert list(frechet.others) == ["near"]  # of nine frames there is no figure of 15
    assert frechet.baseline.mean < frechet.others["near"] < frechet.matched.mean
    assert set_measures(metrics.get("kid"), real, synth, 10, 0)[0].others is None


def test_the_distance_has_both_yardsticks():
    rng = np.random.default_rng(1)
    real, frames = rng.normal(size=(40, 3)), rng.normal(1, 1, (20, 3))
    videos = sides(real, [None] * 40, {"other": frames})
    found = separation("x", frames, real, range(20), np.full(20, -1), 0, 10, videos)
    assert found.others == {"other": pytest.approx(energy_distance(frames, real)[0])}
    assert found.value == pytest.approx(found.others["other"])
    assert abs(found.baseline.mean) < 3 * found.baseline.sd and found.baseline.size == 20


def write_video(root, number, tint, frames=12, size=(32, 48)):
    """A video in CaDIS's layout: scenes of one style, with a colour cast of its own."""
    for kind in ("Images", "Labels"):
        (root / f"Video{number:02d}" / kind).mkdir(parents=True)
    for i in range(frames):
        image, label_map = phantom.render(1000 * number + i, size, video=1)
        image = np.clip(image + np.array(tint), 0, 255).astype(np.uint8)
        name = f"Video{number}_frame{i:06d}.png"
        cv2.imwrite(str(root / f"Video{number:02d}" / "Images" / name), image[..., ::-1])
        cv2.imwrite(str(root / f"Video{number:02d}" / "Labels" / name), label_map)


TINTS = {1: (30, 0, -20), 3: (-25, 0, 25), 4: (0, 30, 0), 8: (25, 20, -20)}  # all of CaDIS's training split
METRICS = ("frechet", "kid", "brightness", "hue", "sharpness")


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    root = tmp_path_factory.mktemp("videos")
    write_video(root / "real", 12, (0, 0, 0), 40)
    for number, tint in TINTS.items():
        write_video(root / "train", number, tint)
    write_video(root / "style", 5, (22, 8, -12), 30)
    write_video(root / "odd", 6, (-90, 60, 90), 30)
    return root


def look(row):
    return next(v for v in row.verdicts if v.question == "Do they look real?")


def test_a_set_in_the_style_of_another_video_is_as_near_as_other_videos(videos):
    config = ScoreConfig(
        videos / "real", (videos / "style", videos / "odd"), METRICS, train=videos / "train", miou=False
    )
    report = run_score(config, Silent())
    assert report.videos == ("Video12",)
    assert report.other_videos == {f"Video0{number}": 12 for number in TINTS}
    style, odd = report.rows
    assert (look(style).answer, look(style).tone) == ("As other videos", "good")
    assert (
        "As near to Video12 as 3 in 4 of 4 other real videos are, but not as near as its own halves" in look(style).text
    )
    assert look(odd).answer == "No"
    assert "Not as near to Video12 as 3 in 4" in look(odd).text
    found = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert found["other_videos"] == report.other_videos
    for part in (*found["rows"][0]["separations"].values(), found["rows"][0]["measures"]["hue"]):
        assert set(part["others"]) == set(report.other_videos)
    _, columns, lines, _ = next(t for t in tables(report) if "yardsticks" in t[0])
    assert list(columns) == ["distance", "own halves", "other videos", "together", "style", "odd"]
    assert {"distance (colour+texture), % ↓", "MMD (colour+texture) ↓", "Hue drift, degrees ↓"} <= {
        line[0] for line in lines
    }
    assert not [note for note in report_notes(report) if "others of" in note]


def test_where_there_is_one_video_only_it_is_said(videos):
    report = run_score(ScoreConfig(videos / "real", (videos / "style",), METRICS), Silent())
    assert report.other_videos == {} and look(report.rows[0]).answer in ("No", "Not quite")
    assert "other real videos" not in look(report.rows[0]).text
    assert any("the real frames show one video, and 0 others" in note for note in report_notes(report))
    assert not [title for title, *_ in tables(report) if "yardsticks" in title]


def test_videos_of_the_real_frames_are_each_others_yardstick(videos):
    report = run_score(ScoreConfig(videos / "train", (videos / "style",), METRICS), Silent())
    assert list(report.other_videos) == list(report.videos) == [f"Video0{number}" for number in TINTS]
    assert "as near" in look(report.rows[0]).text
