"""How each family of models is trained, one file each, named as in `models/families/`.

`methods/NAME.py` defines `RECIPES`, the settings of `TrainConfig` that go with each preset (`schedule` as a
dictionary), and a class `Method`:

    Method(config, net, num_classes, device, dtype, group)
    .net              the network that is averaged, stored and sampled
    .parts            {name: owner}: what a run's state holds, each with `state_dict` and `load_state_dict`
    .paired           whether an image and a map of a batch belong together; False: each is drawn independently
    .sampling         schedule, prediction and sampling defaults for the model file
    .compiled_module  the module that `--compile` compiles; None: nothing is compiled
    .prepare(frames, feedback)
        What the training frames are made ready with, before the run's folder is claimed.
    .conclude(average, frames, held_out, seen, feedback)
        What is measured of the averaged network once it is trained on `seen` images, for `sampling`. held_out: the
        validation frames.
    .set_rate(step, progress in [0, 1]) -> float
        Set the learning rate of every optimizer for this step; returns the run's.
    .update(frames of `training.frames.FrameBatch`, step, part) -> {"loss": ..., "grad_norm": ...}
        One optimizer step on this process's `part` of the global batch, without waiting for the device. Returns
        figures for metrics.csv as tensors [] that lie there, among them a "discriminator_loss" where there is a
        discriminator.
    .halve() -> bool
        Called when memory ran out: compute each batch in twice as many pieces (`.pieces`) from now on, with the same
        gradient. False where that cannot be done.
    .validation(frames) -> an object with
        `losses(net, batch, bar) -> [float]`, whose mean is the validation loss, and
        `sheet(net, bar) -> uint8 [h, w, 3]`, some label maps with their synthetic images;
        both advance the progress bar by a frame at a time, `work` frames together

Every random choice of `update` comes from (seed, step) or from torch's generators, which the loop seeds at each step.
"""

from __future__ import annotations

import importlib
from types import ModuleType

from surgaug.models import families


def get(name: str) -> ModuleType:
    """The module of a method. Raises UsageError if there is none of that name."""
    families.check(name)
    return importlib.import_module(f"{__name__}.{name}")
