"""What decides a synthetic data set, and what of it must stay the same when a run goes on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from surgaug.datasets.splits import SPLITS
from surgaug.datasets.writer import check_layout
from surgaug.errors import UsageError
from surgaug.perturb.recipe import parse_recipe
from surgaug.runtime import options
from surgaug.runtime.device import COMPILE
from surgaug.runtime.options import MAX_N, MAX_SEED
from surgaug.segmenter.config import TRUST
from surgaug.synthesis.plan import ORDERS, Shard

NATIVE, BASE = "native", "base"
_SIZES = {"native": NATIVE, "mask": NATIVE, "base": BASE}


@dataclass(frozen=True)
class SynthesizeConfig:
    """One synthetic data set. Sizes are (H, W). None: what the model file says.

    masks: a folder of label maps (or a data set with them), or the files themselves; of a data set with splits, those
    of `split` alone where it is given. size: of the images; None for the mask's own where a cascade was trained at
    about that, else the training size in the mask's proportions; "native" for that of each mask; "base" for the small
    pictures of a cascade's first stage alone. classes: the masks' label space; "auto" for the ids found in them. style:
    see `synthesis.style_choice`. augment: perturbations applied to each sample's label map, or a recipe file, of which
    n, seed and classes come by `over_recipe`. palette: label maps as palette PNGs. leave_out_bad: go on without masks
    that cannot be used, instead of refusing them. judge: real frames, or the file of a judge that was trained on some
    (`synthesis/judge.py`). trust: how many times its class's mean cross-entropy a pixel may have. least_agreement: the
    share of an image's labelled pixels that must be trusted; None for any. segmenter_steps: of each training of the
    judge; None for as many as the classes need. batch: None to find it. compile: see `models/compiled.py`.
    """

    masks: Path | tuple[Path, ...]
    n: int = 5000
    model: Path | None = None
    out: Path = Path("synthetic")
    classes: str = "auto"
    leave_out_bad: bool = False
    split: str | None = None
    size: tuple[int, int] | str | None = None
    order: str = "even"
    augment: tuple[str, ...] = ()
    sampler: str | None = None
    steps: int | None = None
    guidance: float | None = None
    style: str = "auto"
    options: dict[str, Any] = field(default_factory=dict)
    layout: str = "folders"
    palette: bool = False
    judge: Path | None = None
    trust: float = TRUST
    least_agreement: float | None = None
    segmenter_steps: int | None = None
    shard: Shard = field(default_factory=Shard)
    batch: int | None = None
    seed: int = 0
    device: str = "auto"
    precision: str = "auto"
    compile: str = "auto"


def over_recipe(
    augment: Sequence[str], *, n: int | None = None, seed: int | None = None, classes: str | None = None
) -> dict[str, Any]:
    """These fields of a `SynthesizeConfig`, as far as they are said: by the caller (not None), else by a recipe file
    that `augment` names. UsageError for a bad recipe."""
    from_file = parse_recipe(augment).run if augment else {}
    given = {"n": n, "seed": seed, "classes": classes}
    said = {key: from_file.get(key) if value is None else value for key, value in given.items()}
    return {key: value for key, value in said.items() if value is not None}


def check(config: SynthesizeConfig) -> None:
    """Refuse what cannot be meant. UsageError names the flag and the value."""

    def must(ok: bool, message: str) -> None:
        if not ok:
            raise UsageError(message)

    must(1 <= config.n <= MAX_N, f"--n {config.n}: from 1 to {MAX_N:,}")
    must(config.batch is None or config.batch >= 1, f"--batch {config.batch}: at least 1")
    must(config.steps is None or config.steps >= 1, f"--steps {config.steps}: at least 1")
    must(0 <= config.seed <= MAX_SEED, f"--seed {config.seed}: from 0 to {MAX_SEED}")
    must(config.order in ORDERS, f"--order {config.order}: one of {', '.join(ORDERS)}")
    for name, asked in (
        ("order hard", config.order == "hard"),
        (f"trust {config.trust:g}", config.trust != TRUST),
        ("least-agreement", config.least_agreement is not None),
        ("segmenter-steps", config.segmenter_steps is not None),
    ):
        must(config.judge is not None or not asked, f"--{name}: it takes a judge; add --judge with the real frames")
    must(config.trust > 0, f"--trust {config.trust:g}: above 0; 1.25 is usual")
    least, steps = config.least_agreement, config.segmenter_steps
    must(least is None or 0 <= least <= 1, f"--least-agreement {least}: a share from 0 to 1, for example 0.7")
    must(steps is None or steps >= 1, f"--segmenter-steps {steps}: at least 1")
    must(config.compile in COMPILE, f"--compile {config.compile}: one of {', '.join(COMPILE)}")
    must(config.split in (None, *SPLITS), f"--split {config.split}: one of {', '.join(SPLITS)}")
    check_layout(config.layout)
    if isinstance(config.size, tuple):
        must(min(config.size) >= 8, f"--size {config.size[0]}x{config.size[1]}: at least 8x8")
    else:
        must(config.size in (None, NATIVE, BASE), f"--size {config.size}: HxW (64x112), native or base")


def parse_size(text: str) -> tuple[int, int] | str:
    """ "64x112" to (64, 112); "native" (or "mask") and "base" stay. UsageError for anything else."""
    return _SIZES.get(text) or options.parse_size(text, other="native or base")


def parse_options(pairs: Sequence[str]) -> dict[str, Any]:
    """["eta=0.5", "variance=large"] to {"eta": 0.5, "variance": "large"}. UsageError for what is no KEY=VALUE."""
    options: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not (key and equals and value):
            raise UsageError(f"--set {pair}: expected KEY=VALUE, for example eta=0.5")
        try:
            options[key] = json.loads(value)
        except ValueError:
            options[key] = value
    return options
