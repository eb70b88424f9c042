"""How each family of models is trained, one file each, named as in `models/families/`.

`methods/NAME.py` defines `RECIPES`, the settings of `TrainConfig` that go with each preset (`schedule` as a
dictionary), and a class `Method`:

    Method(config, net, num_classes, device, dtype, group)
    .net           the network that is averaged, stored and sampled
    .parts         {name: owner} of all that a resumed run must have again, each with `state_dict` and `load_state_dict`
    .paired        False: images and maps are drawn independently
    .sampling      schedule, prediction and sampling defaults for the model file
    .set_rate(step, progress) -> the learning rate, now set
    .update(images uint8 [b, H, W, 3], index_maps uint8 [b, H, W], step, part) -> {"loss": ..., "grad_norm": ...}
    .trained       the module whose forward `--compile` compiles; None: nothing is
    .halve() -> whether each batch is now computed in `.pieces` half as large; False: it cannot be
    .validation(frames) -> an object with `losses(net, batch) -> [float]` and `sheet(net) -> uint8 [h, w, 3]`

Every random choice of `update` comes from (seed, step) or from torch's generators, which the loop seeds at each step.
"""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

from surgaug.errors import UsageError


def names() -> list[str]:
    """The methods, without importing them."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def get(name: str) -> ModuleType:
    """The module of a method. Raises UsageError if there is none of that name."""
    if name not in names():
        raise UsageError(f"--model {name}: there is no such model; choose one of {', '.join(names())}")
    return importlib.import_module(f"{__name__}.{name}")
