"""Looks asked for until they come: linear networks in closed form, and `synthesize` with a picture and a folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from heard import Heard
from PIL import Image

from surgaug.errors import DataError, UsageError
from surgaug.io.manifest import read_rows
from surgaug.models.checkpoint import load_model
from surgaug.models.style import style_code
from surgaug.runtime.device import to_tensor
from surgaug.synthesis.config import SynthesizeConfig
from surgaug.synthesis.fourier_style import FourierStyle
from surgaug.synthesis.plan import Shard
from surgaug.synthesis.run import synthesize
from surgaug.synthesis.style_choice import Styles, choose
from surgaug.synthesis.style_tuning import FARTHEST, NEAR, Found, cure, search, told


def test_a_network_that_heeds_half_is_asked_for_twice_as_much():
    wanted = np.array([1.0, -0.6, 0.4])
    found = search(lambda shift: 0.5 * (shift - 2 * wanted), 3, 5)
    np.testing.assert_allclose(found.shift, 2 * wanted, atol=0.05)
    assert found.before == pytest.approx(np.sqrt(np.square(wanted).mean()))
    assert found.after <= NEAR


def test_numbers_that_hang_together_are_found_within_five_tries():
    rng = np.random.default_rng(0)
    for _ in range(20):
        heeds = 0.5 * np.eye(7) + 0.1 * rng.standard_normal((7, 7)) / np.sqrt(7)
        lacks = rng.standard_normal(7) * 0.7
        found = search(lambda shift, heeds=heeds, lacks=lacks: lacks + heeds @ shift, 7, 5)
        assert found.after < 0.2 * found.before


def test_what_nothing_helps_stays_as_it_is_and_no_code_goes_far():
    seen: list[np.ndarray] = []

    def deaf(shift: np.ndarray) -> np.ndarray:
        seen.append(shift)
        return np.full(7, 3.0) + 0.1 * np.abs(shift)

    found = search(deaf, 7, 5)
    assert not found.shift.any() and found.after == found.before == 3.0
    assert len(seen) <= 5 and max(np.abs(shift).max() for shift in seen) <= FARTHEST


def test_one_try_asks_once_for_what_is_given():
    found = search(lambda shift: shift + 1.0, 7, 1)
    assert not found.shift.any() and found.after == found.before == 1.0


@pytest.fixture
def frames(tmp_path) -> Path:
    """A folder of frames much brighter than the model's."""
    folder = tmp_path / "frames" / "images"
    folder.mkdir(parents=True)
    for i in range(5):
        picture = np.random.default_rng(i).integers(150 + 10 * i, 200 + 10 * i, (24, 32, 3), dtype=np.uint8)
        Image.fromarray(picture).save(folder / f"{i}.png")
    return folder.parent


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [(0.71, 0.69, "no gain); that is near"), (2.0, 0.3, "2.0 before it"), (3.0, 1.5, "strongly)")],
)
def test_how_near_the_pictures_came_is_said(before, after, said):
    line = told(Found(np.zeros(1), before, after))
    assert said in line and line.startswith(f"style: pictures are off by {after:.1f} ")
    assert ("near" in line) == (after < 1)


def test_what_is_advised_is_what_can_be_typed():
    assert cure(Styles(("a.png",))).startswith("; --set style.fourier=0.01")
    assert cure(Styles(("a.png", "b.png"))).startswith("; --style with one frame of them and --set style.fourier=0.01")
    assert cure(Styles(("a.png",), fourier=FourierStyle(np.zeros((8, 8, 3), np.uint8), 0.01))) == ""


def test_of_a_folder_each_frame_is_drawn(model_file, frames):
    styles = choose(str(frames), load_model(model_file), model_file)
    assert styles.names == ("0", "1", "2", "3", "4") and styles.codes.shape == (5, 7)
    assert {styles.draw(0, k)[0] for k in range(100)} == set(styles.names)


def test_a_folder_without_pictures_and_a_fourier_style_of_many_are_refused(model_file, frames, tmp_path):
    model = load_model(model_file)
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match="none"):
        choose(str(tmp_path / "none"), model, model_file)
    with pytest.raises(UsageError, match="needs a frame"):
        choose(str(frames), model, model_file, {"style.fourier": 0.01})
    for value in (-1, 0.5, True, 51):
        with pytest.raises(UsageError, match=r"style\.tries"):
            choose(str(frames), model, model_file, {"style.tries": value})
    with pytest.raises(UsageError, match="needs pictures"):
        choose("auto", model, model_file, {"style.tries": 3})


def made(out: Path, feedback=None, **given) -> tuple[list[dict], np.ndarray]:
    synthesize(SynthesizeConfig(out=out, device="cpu", **given), feedback)
    rows = read_rows(out)[0]
    return rows, np.stack([np.asarray(Image.open(out / Path(row["image"]))) for row in rows])


def test_pictures_come_nearer_to_the_frames_and_shards_agree(model_file, masks, frames, tmp_path):
    given = {"masks": masks, "n": 12, "model": model_file, "style": str(frames), "steps": 3}
    heard = Heard()
    rows, near = made(tmp_path / "near", heard, **given)
    _, once = made(tmp_path / "once", **given, options={"style.tries": 0})
    assert {row["style"] for row in rows} <= {"0", "1", "2", "3", "4"}
    assert all(row["options"]["style.tries"] == 3 for row in rows)
    wanted = np.mean([style_code(to_tensor(np.array(Image.open(p))[None], "cpu"))[0].numpy()
                      for p in sorted((frames / "images").iterdir())], axis=0)  # fmt: skip

    def lack(images: np.ndarray) -> float:
        return float(np.linalg.norm(style_code(to_tensor(images, "cpu")).numpy().mean(axis=0) - wanted))

    assert lack(near) <= lack(once)
    assert any("standard deviations" in line for line in heard.infos)
    for k in (1, 2):
        synthesize(SynthesizeConfig(out=tmp_path / "shards", device="cpu", shard=Shard(k, 2), **given))
    again = [np.asarray(Image.open(tmp_path / "shards" / Path(row["image"]))) for row in rows]
    assert np.array_equal(np.stack(again), near)
