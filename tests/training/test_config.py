from __future__ import annotations

import json
import math

import numpy as np
import pytest

from surgaug.errors import UsageError
from surgaug.io.atomic import write_png
from surgaug.io.output_folder import differences
from surgaug.training.config import FREE_ON_RESUME, MAX_SEED, check, override, to_dict
from surgaug.training.diffusion_step import generator_of
from surgaug.training.presets import from_command_line, preset


def test_flags_win_over_the_file_and_the_file_over_the_preset(tmp_path):
    file = tmp_path / "c.toml"
    file.write_text('lr = 0.5\nbatch = 4\n[network]\nchannels = [8, 16, 24]\n[schedule]\nkind = "linear"\n')
    config = from_command_line("tiny", {"data": "x/train", "batch": 8, "size": "32x48"}, file, ["network.dropout=0.3"])
    assert (config.lr, config.batch, config.size) == (0.5, 8, (32, 48))
    assert config.network.channels == (8, 16, 24)
    assert config.network.dropout == 0.3
    assert config.schedule.kind == "linear"
    assert config.out.endswith("x-train-tiny-32x48")


def test_minutes_replace_the_presets_steps_and_both_may_be_given():
    assert from_command_line("tiny", {"data": "d", "minutes": 5.0}, None, []).steps is None
    both = from_command_line("tiny", {"data": "d", "minutes": 5.0, "steps": 7}, None, [])
    assert (both.steps, both.minutes) == (7, 5.0)
    assert from_command_line("tiny", {"data": "d"}, None, []).steps == preset("tiny").steps


@pytest.mark.parametrize(
    ("assignment", "says"),
    [
        ("network.chanels=1", "network.channels"),
        ("lrr=1", "'lr'"),
        ("lr.x=1", "single value"),
        ("batch=many", "'many'"),
        ("batch=1.5", "1.5"),
        ("size=64", "'64': expected 2 numbers, as in 64x112"),
        ("nothing", "KEY=VALUE"),
        ("schedule.kind=square", "square"),
    ],
)
def test_what_is_wrong_is_named(assignment, says):
    with pytest.raises(UsageError, match=says.replace("'", ".")):
        from_command_line("tiny", {"data": "d"}, None, [assignment])


def test_unknown_preset():
    with pytest.raises(UsageError, match="tiny, small, base, thesis, thesis-tiny, sdm, sdm-tiny"):
        preset("huge")


@pytest.mark.parametrize(
    "change",
    [
        {"batch": 0}, {"lr": 0.0}, {"minutes": -1.0}, {"flip": "x"}, {"zoom": 1.0}, {"drop_map": 1.0}, {"loss": "l3"},
        {"batch": 6, "accumulate": 4}, {"network": {"channels": (8, 8)}}, {"size": (4, 64)},
        {"prediction": "eps"}, {"seed": -1}, {"seed": 10**13 + 1}, {"lr": math.inf}, {"clip": -1.0}, {"clip": 0.0},
        {"warmup": -1}, {"ema_power": -3.0}, {"muon_lr": -0.02}, {"min_snr_gamma": -1.0}, {"min_snr_floor": -1.0},
        {"balance": -0.1}, {"save_minutes": math.nan}, {"sample_minutes": math.nan}, {"validate_frames": 0},
        {"betas": (0.9, 1.0)}, {"weight_decay": -1.0}, {"network": {"norm": "batch"}}, {"network": {"dropout": 1.0}},
        {"network": {"encoder_blocks": (0, 1, 1)}}, {"network": {"noise_dim": 0}}, {"network": {"spade_kernel": 2}},
        {"student": "consistency"}, {"student_steps": 2}, {"teacher_guidance": 2.0}, {"teacher_guidance_below": 1.0},
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused(change):
    config = preset("tiny")
    for k, v in change.items():
        config = override(config, k, v)
    with pytest.raises(UsageError):
        check(config)


def test_settings_of_two_stages_are_refused_where_there_is_one_unless_that_is_asked_for(tmp_path):
    file = tmp_path / "c.toml"
    file.write_text("[cascade]\nshare = 0.5\n")
    given = {"data": "d", "size": "64x64"}
    for line in ((file, []), (None, ["cascade.share=0.5"])):
        with pytest.raises(UsageError, match=r"cascade\.share: of two stages.* --cascade on"):
            from_command_line("tiny", given, *line)
        assert from_command_line("tiny", {**given, "cascade": "off"}, *line).cascade is None


def test_a_settings_file_may_say_how_many_stages_there_are(tmp_path):
    file = tmp_path / "c.toml"
    for said, stages in (("off", 1), ("on", 2)):
        file.write_text(f'cascade = "{said}"\n')
        config = from_command_line("tiny", {"data": "d", "size": "256x256", "cascade": "auto"}, file, [])
        assert (config.cascade is None) == (stages == 1)
    with pytest.raises(UsageError, match=r"cascade.: 'off': a table of settings; set one .*cascade\.base"):
        from_command_line("tiny", {"data": "d"}, None, ["cascade=off"])


def test_the_highest_seed_is_one_to_torch_at_any_step():
    config = preset("tiny", seed=MAX_SEED)
    check(config)
    assert generator_of(config, 10**9).initial_seed() >= 0


@pytest.mark.parametrize("change", [{"attention": (False, False, True)}, {"middle_attention": True}])
def test_channels_that_heads_do_not_divide_are_refused_with_the_setting(change):
    network = {"channels": (32, 64, 100), "attention": (False, False, False), "middle_attention": False}
    config = preset("tiny")
    check(override(config, "network", network))
    wrong = override(config, "network", {**network, **change})
    with pytest.raises(UsageError, match=r"network\.head_dim 32: of 100 channels it makes 3 heads"):
        check(wrong)
    check(override(wrong, "network.head_dim", 25))
    with pytest.raises(UsageError, match=r"network\.head_dim 0"):
        check(override(wrong, "network.head_dim", 0))


def test_eps_is_trained_without_the_floor_that_would_paint_noise():
    eps = preset("tiny", prediction="eps")
    for name, value in (("min_snr_floor", 0.0), ("min_snr_gamma", None)):
        check(override(eps, name, value))
    check(preset("thesis"))
    check(preset("sdm"))


def test_differences_survive_json_and_name_the_setting():
    config = preset("tiny", data="d", out="a")
    stored = json.loads(json.dumps(to_dict(config)))
    assert differences(stored, to_dict(override(config, "out", "b")), free=FREE_ON_RESUME) == []
    changed = override(config, "network.dropout", 0.5)
    assert differences(stored, to_dict(changed)) == ["network.dropout: 0.0 there, 0.5 now"]


def frames_of(root, hw):
    for kind, shape in (("images", (*hw, 3)), ("labels", hw)):
        (root / kind).mkdir(parents=True)
        for i in range(3):
            write_png(root / kind / f"{i}.png", np.full(shape, i, np.uint8))
    return str(root)


@pytest.mark.parametrize(
    ("hw", "preset_name", "size"),
    [
        ((540, 960), "tiny", (64, 112)), ((540, 960), "small", (128, 224)), ((540, 960), "base", (256, 448)),
        ((480, 640), "base", (256, 336)), ((640, 480), "tiny", (88, 64)), ((50, 50), "tiny", (64, 64)),
    ],
)  # fmt: skip
def test_the_size_has_the_proportions_of_the_frames(tmp_path, hw, preset_name, size):
    data = frames_of(tmp_path / "frames", hw)
    config = from_command_line(preset_name, {"data": data}, None, [])
    assert config.size == size
    assert config.out == f"runs/frames-{preset_name}-{size[0]}x{size[1]}"
    assert from_command_line(preset_name, {"data": data, "size": "32x32"}, None, []).size == (32, 32)
    (tmp_path / "frames" / "images" / "0.png").write_bytes(b"no image")
    (tmp_path / "frames" / "images").rename(tmp_path / "frames" / "pictures")
    named = {"data": data, "images": "pictures", "labels": "labels"}
    assert from_command_line(preset_name, named, None, []).size == size
    (tmp_path / "frames" / "pictures").rename(tmp_path / "frames" / "images")
    assert from_command_line(preset_name, {"data": data}, None, ["size=32x40"]).size == (32, 40)


@pytest.mark.parametrize("out", [None, "mine"])
def test_a_run_that_began_at_the_old_default_size_goes_on_at_it(tmp_path, monkeypatch, out):
    monkeypatch.chdir(tmp_path)
    data = frames_of(tmp_path / "frames", (540, 960))
    run = tmp_path / (out or "runs/frames-tiny-64x64")
    run.mkdir(parents=True)
    (run / "config.json").write_text('{"size": [64, 64]}')
    assert from_command_line("tiny", {"data": data, "out": out}, None, []).size == (64, 112)  # nothing trained
    (run / "state.pt").write_bytes(b"")
    found = from_command_line("tiny", {"data": data, "out": out}, None, [])
    assert (found.size, found.out) == ((64, 64), out or "runs/frames-tiny-64x64")
    (tmp_path / "frames" / "labels").rename(tmp_path / "gone")
    assert from_command_line("tiny", {"data": data, "out": "x"}, None, []).size == (64, 64)  # refused when it is opened


@pytest.mark.parametrize(
    ("name", "setting", "says"),
    [("thesis", "network.decoder_blocks=3,3,3,3,3", "it is 4,4,4,4,4"), ("sdm", "network.join=sum", "it is concat"),
     ("tiny", "network.spade_norms=2", "only with network.skips"), ("tiny", "network.skips=all", "level or block"),
     ("tiny", "lr_decay=linear", "cosine, constant"), ("tiny", "ema_decay=1", "between 0 and 1")],
)  # fmt: skip
def test_what_the_published_networks_can_do_and_ours_cannot(name, setting, says):
    with pytest.raises(UsageError, match=says):
        check(from_command_line(name, {"data": "d"}, None, [setting]))
