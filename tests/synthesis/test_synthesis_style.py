from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from surgaug.errors import UsageError
from surgaug.io.manifest import read_rows
from surgaug.models.checkpoint import load_model
from surgaug.models.style import style_code
from surgaug.synthesis.config import SynthesizeConfig
from surgaug.synthesis.run import synthesize
from surgaug.synthesis.style_choice import choose


@pytest.fixture(scope="module")
def model(model_file):
    return load_model(model_file)


def test_auto_draws_from_all_frames_by_seed_and_sample_alone(model, model_file):
    styles = choose("auto", model, model_file)
    drawn = [styles.draw(3, k)[0] for k in range(200)]
    assert set(drawn) == {"frame0", "frame1", "frame2", "frame3"}
    assert drawn == [styles.draw(3, k)[0] for k in range(200)]
    assert drawn != [styles.draw(4, k)[0] for k in range(200)]


def test_auto_draws_each_video_as_often_however_many_frames_it_has(model, model_file):
    code = model.meta["styles"][0]["code"]
    bank = [{"name": f"{v}-{k}", "video": v, "code": code} for v, n in (("A", 1), ("B", 29)) for k in range(n)]
    styles = choose("auto", replace(model, meta=model.meta | {"styles": bank}), model_file)
    drawn = [styles.draw(0, k)[0] for k in range(1000)]
    assert 440 < drawn.count("A-0") < 560 and set(drawn) == {style["name"] for style in bank}


def test_of_frames_without_videos_each_is_drawn_as_often(model, model_file):
    bank = [{**style, "video": None} for style in model.meta["styles"]]
    styles = choose("auto", replace(model, meta=model.meta | {"styles": bank}), model_file)
    drawn = [styles.draw(0, k)[0] for k in range(1000)]
    assert all(200 < drawn.count(style["name"]) < 300 for style in bank)


def test_a_video_or_a_frame_by_name(model, model_file):
    assert choose("Video1", model, model_file).names == ("frame2", "frame3")
    np.testing.assert_allclose(choose("frame3", model, model_file).codes[0, 0], 0.6)


def test_a_picture(model, model_file, tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (*model.size, 3), dtype=np.uint8)
    Image.fromarray(picture).save(tmp_path / "wanted.png")
    name, code = choose(str(tmp_path / "wanted.png"), model, model_file).draw(0, 5)
    x_0 = torch.from_numpy(picture).permute(2, 0, 1)[None] / 127.5 - 1
    assert name == "wanted.png"
    np.testing.assert_allclose(code, style_code(x_0)[0], atol=1e-6)


def test_any_leaves_it_to_the_model(model, model_file):
    name, code = choose("any", model, model_file).draw(0, 0)
    assert name is None and np.isnan(code).all()


def test_an_unknown_name_and_a_model_without_styles_are_refused(model, model_file):
    with pytest.raises(UsageError, match=r"Video9.*Video0, Video1"):
        choose("Video9", model, model_file)
    with pytest.raises(UsageError, match="--style: empty"):
        choose("", model, model_file)
    plain = replace(model, net=type("Net", (), {"style": None})())
    assert choose("auto", plain, model_file).names == ()
    with pytest.raises(UsageError, match="trained without styles"):
        choose("Video1", plain, model_file)
    with pytest.raises(UsageError, match=r"kind pix2pix, which has no styles.*style\.fourier"):
        choose("Video1", replace(plain, family="pix2pix"), model_file)


def test_the_style_is_shown_and_recorded(model_file, masks, tmp_path):
    def made(style: str) -> tuple[list[dict], np.ndarray]:
        out = tmp_path / style
        synthesize(SynthesizeConfig(masks=masks, n=2, model=model_file, out=out, style=style, device="cpu"))
        rows = read_rows(out)[0]
        return rows, np.stack([np.asarray(Image.open(out / Path(row["image"]))) for row in rows])

    rows, first = made("Video0")
    assert {row["style"] for row in rows} <= {"frame0", "frame1"}
    others, second = made("any")
    assert all("style" not in row for row in others)
    assert (first != second).any()


@pytest.fixture(params=["style", "light"])
def looks(request, model, model_file, masks, tmp_path) -> SynthesizeConfig:
    """Two pictures to draw styles from, or one whose light is put on afterwards."""
    (tmp_path / "looks").mkdir()
    for k in range(2):
        picture = np.random.default_rng(k).integers(0, 256, (*model.size, 3), dtype=np.uint8)
        Image.fromarray(picture).save(tmp_path / "looks" / f"{k}.png")
    light = request.param == "light"
    style = str(tmp_path / "looks" / "0.png") if light else str(tmp_path / "looks")
    options = {"style.fourier": 0.05, "style.tries": 0} if light else {"style.tries": 0}
    config = SynthesizeConfig(masks=masks, n=2, model=model_file, out=tmp_path / "out", style=style, device="cpu")
    return replace(config, options=options)


def test_pictures_that_changed_are_refused_and_another_path_to_them_is_not(looks, tmp_path):
    synthesize(looks)
    (tmp_path / "looks").rename(tmp_path / "elsewhere")
    moved = replace(looks, style=looks.style.replace("looks", "elsewhere"))
    assert synthesize(replace(moved, n=3)).synthesized == 1
    picture = tmp_path / "elsewhere" / "0.png"
    Image.fromarray(255 - np.asarray(Image.open(picture))).save(picture)
    with pytest.raises(UsageError, match=r"other settings \(style_pictures: \w+ there, \w+ now\)"):
        synthesize(replace(moved, n=4))
    with pytest.raises(UsageError, match=r"style: .* there, any now"):
        synthesize(replace(looks, n=4, style="any", options={}))


def test_a_set_that_tells_nothing_of_its_pictures_goes_on_by_their_path(looks, tmp_path):
    synthesize(looks)
    described = json.loads((looks.out / "dataset.json").read_text())
    del described["settings"]["style_pictures"]
    (looks.out / "dataset.json").write_text(json.dumps(described))
    (tmp_path / "looks").rename(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match=r"style: .*looks.* there, .*elsewhere.* now"):
        synthesize(replace(looks, style=looks.style.replace("looks", "elsewhere")))
    (tmp_path / "elsewhere").rename(tmp_path / "looks")
    assert synthesize(replace(looks, n=3)).synthesized == 1
