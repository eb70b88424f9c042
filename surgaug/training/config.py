"""Everything that decides a training run, in one frozen dataclass, stored whole in the run and in the model file."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from surgaug.diffusion import distillation, parameterisation
from surgaug.diffusion.loss import NORMS
from surgaug.diffusion.schedules import Schedule
from surgaug.errors import UsageError
from surgaug.models import families
from surgaug.models.blocks import heads_for
from surgaug.models.unet import UNetConfig
from surgaug.runtime.device import COMPILE
from surgaug.runtime.options import nearest


@dataclass(frozen=True)
class Cascade:
    """How a cascade of two stages is trained: the first at the size `base`, the second at that of the images.

    base: (H, W); None for the preset's own, in the frames' proportions. share: of the minutes (or steps) that the first
    stage gets, where both are trained. first, second: model files (of a cascade: that stage of it) that serve as
    stages; None: one is trained.

    Of the second stage: network, None for the preset's; hand_over: see `Schedule`; window: (H, W) of the parts of
    frames that it is trained on; picture_noise: the most noise on its small pictures (standard deviation; images lie in
    [-1, 1]); own: of its small pictures, how many are the first stage's own rather than frames made small.
    """

    base: tuple[int, int] | None = None
    share: float = 0.7
    first: str | None = None
    second: str | None = None
    network: Any = None
    hand_over: float = 1.0
    window: tuple[int, int] = (128, 128)
    picture_noise: float = 0.1
    own: float = 0.75


@dataclass(frozen=True)
class TrainConfig:
    """One training run.

    images, labels: the folders of the data, relative to it, where their names do not tell. leave_out_bad: go on without
    frames that cannot be used, instead of refusing them.
    cascade: of model "cascade", which is two runs, and of "upsampler", its second one; None for all others.
    size: (H, W). steps, minutes: the run ends with whichever is reached first, and the learning rate falls until then.
    network: the `Config` of the model's family. adversary: the `Adversary` of its method; None for diffusion. lr: the
    rate of AdamW, with `betas`. muon_lr: the rate of Muon, which trains the convolutions between the network's first
    and last layers; None: AdamW trains these, too. lr_decay: how the rates go on after the warm-up, falling as a
    "cosine" or "constant". ema_power, ema_decay: of the averaged weights (`training/ema.py`).

    distill: the model file of a teacher; the model trained is then its student, which samples in `student_steps` steps.
    student: "progressive", each step does what several of the teacher's do, or "consistency", each goes all the way.
    Its targets are made with guidance of the scale `teacher_guidance` at noise levels (sigma) below
    `teacher_guidance_below`, so that the student needs no guidance.

    frames_on_disk: frames are kept at the training size in the cache folder, not in memory (`training/frames.py`).
    """

    data: str = ""
    val: str | None = None
    out: str = ""
    classes: str = "auto"
    exclude_known_errors: bool = False
    leave_out_bad: bool = False
    images: str | None = None
    labels: str | None = None
    size: tuple[int, int] = (64, 64)
    model: str = families.DIFFUSION
    preset: str = "tiny"
    init: str | None = None
    distill: str | None = None
    student_steps: int = 4
    student: str = "progressive"
    teacher_guidance: float = 1.0
    teacher_guidance_below: float | None = None
    cascade: Cascade | None = None

    network: Any = field(default_factory=UNetConfig)
    adversary: Any = None
    schedule: Schedule = field(default_factory=Schedule)
    prediction: str = "x0"
    loss: str = "l2"
    min_snr_gamma: float | None = 5.0
    min_snr_floor: float = 0.1
    drop_map: float = 0.1
    drop_class: float = 0.05
    drop_style: float = 0.2

    steps: int | None = None
    minutes: float | None = None
    batch: int = 8
    accumulate: int = 1
    lr: float = 1.2e-3
    lr_decay: str = "cosine"
    betas: tuple[float, float] = (0.9, 0.99)
    muon_lr: float | None = None
    warmup: int = 200
    weight_decay: float = 0.01
    clip: float = 1.0
    ema_power: float | None = 16.0
    ema_decay: float | None = None
    balance: float = 0.05
    flip: str = "h"
    zoom: float = 0.0

    seed: int = 0
    device: str = "auto"
    precision: str = "auto"
    compile: str = "auto"
    frames_on_disk: bool = True
    save_minutes: float = 2.0
    sample_minutes: float = 5.0
    validate_frames: int = 32


MAX_SEED = 10**13  # times the 1,000,003 that keep the seeds of steps apart, it is the most that torch takes
STUDENTS = ("progressive", "consistency")
LR_DECAYS = ("cosine", "constant")

# Settings that may differ between the run that stopped and the one that goes on: none of them changes the result.
FREE_ON_RESUME = {
    "out", "leave_out_bad", "device", "compile", "frames_on_disk", "save_minutes", "sample_minutes", "steps", "minutes"
}  # fmt: skip

# Settings that only diffusion heeds; with another model they are refused.
DIFFUSION_ONLY = (
    "init", "distill", "student_steps", "student", "teacher_guidance", "teacher_guidance_below", "schedule",
    "prediction", "loss", "min_snr_gamma", "min_snr_floor", "cascade", "drop_map", "drop_class", "drop_style",
    "accumulate", "lr_decay", "betas", "muon_lr", "warmup", "weight_decay", "clip", "compile",
)  # fmt: skip


# Settings that only students heed; without --distill they are refused.
OF_STUDENTS = ("student_steps", "student", "teacher_guidance", "teacher_guidance_below")


def override(config: Any, path: str, value: Any, _shown: str = "") -> Any:
    """`config` with the field at the dotted `path` set; text is converted to the field's type.

    UsageError for an unknown key (with its dotted path and the closest one) or a value of another type.
    """
    shown = _shown or path
    name, _, rest = path.partition(".")
    hints = typing.get_type_hints(type(config))
    names = [f.name for f in dataclasses.fields(config)]
    if name not in names:
        near = nearest(name, names)
        hint = f"; did you mean '{shown[: len(shown) - len(path)]}{near}'?" if near else f"; known: {', '.join(names)}"
        raise UsageError(f"'{shown}': there is no such setting{hint}")
    if rest:
        inner = getattr(config, name)
        if not dataclasses.is_dataclass(inner):
            raise UsageError(f"'{shown}': '{name}' is a single value and has no '{rest}'")
        return dataclasses.replace(config, **{name: override(inner, rest, value, shown)})
    if isinstance(value, dict):
        inner = getattr(config, name)
        for k, v in value.items():
            inner = override(inner, k, v, f"{shown}.{k}")
        return dataclasses.replace(config, **{name: inner})
    return dataclasses.replace(config, **{name: convert(value, hints[name], shown)})


def convert(value: Any, kind: Any, shown: str) -> Any:
    """`value` (text from `--set`, or a TOML value) as `kind`. UsageError names the setting, the value and the type."""
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    try:
        if origin in (typing.Union, types.UnionType):
            if value is None or (isinstance(value, str) and value.lower() in ("none", "null", "")):
                return None
            return convert(value, next(a for a in args if a is not type(None)), shown)
        if origin is tuple:
            items = value.replace("x", ",").split(",") if isinstance(value, str) else list(value)
            if args[-1] is not Ellipsis and len(items) != len(args):
                raise ValueError
            return tuple(convert(v, args[0], shown) for v in items)
        if kind is bool:
            if isinstance(value, bool):
                return value
            return {"true": True, "false": False, "1": True, "0": False}[str(value).strip().lower()]
        if dataclasses.is_dataclass(kind):
            inner = dataclasses.fields(kind)[0].name
            raise UsageError(f"'{shown}': {value!r}: a table of settings; set one of them, as in '{shown}.{inner}'")
        if kind is int and isinstance(value, float) and not value.is_integer():
            raise ValueError
        return kind(value)
    except (ValueError, TypeError, KeyError):
        if origin is tuple:
            several = "numbers" if args[-1] is Ellipsis else f"{len(args)} numbers"
            raise UsageError(f"'{shown}': {value!r}: expected {several}, as in 64x112") from None
        name = getattr(kind, "__name__", str(kind))
        raise UsageError(f"'{shown}': {value!r} is not a valid {name}") from None


def check(config: TrainConfig) -> None:
    """Refuse what cannot be meant, before anything long starts. UsageError names the flag and the value."""

    def must(ok: bool, message: str) -> None:
        if not ok:
            raise UsageError(message)

    must(min(config.size) >= 8, f"--size {config.size[0]}x{config.size[1]}: at least 8x8")
    must(config.batch >= 1, f"--batch {config.batch}: at least 1")
    must(config.accumulate >= 1, f"accumulate {config.accumulate}: at least 1")
    must(config.batch % config.accumulate == 0, f"--batch {config.batch} is not a multiple of accumulate")
    must(0 < config.lr < math.inf, f"--lr {config.lr}: must be above 0")
    must(config.clip > 0, f"clip {config.clip}: must be above 0; inf for none")
    for name in ("muon_lr", "min_snr_gamma", "ema_power", "teacher_guidance_below"):
        value = getattr(config, name)
        must(value is None or value > 0, f"{name} {value}: must be above 0, or none")
    for name in ("balance", "warmup", "weight_decay", "min_snr_floor", "teacher_guidance"):
        must(0 <= getattr(config, name) < math.inf, f"{name} {getattr(config, name)}: 0 or more")
    for name in ("save_minutes", "sample_minutes"):
        must(getattr(config, name) >= 0, f"{name} {getattr(config, name)}: 0 or more")
    must(all(0 <= beta < 1 for beta in config.betas), f"betas {config.betas}: from 0 to below 1")
    must(config.validate_frames >= 1, f"validate_frames {config.validate_frames}: at least 1")
    must(0 <= config.seed <= MAX_SEED, f"--seed {config.seed}: from 0 to {MAX_SEED}")
    must(bool(config.steps or config.minutes), "give --steps or --minutes")
    must(config.steps is None or config.steps >= 1, f"--steps {config.steps}: at least 1")
    must(config.minutes is None or config.minutes > 0, f"--minutes {config.minutes}: must be above 0")
    must(config.compile in COMPILE, f"--compile {config.compile}: one of {', '.join(COMPILE)}")
    must(config.loss in NORMS, f"loss {config.loss}: one of {', '.join(NORMS)}")
    must(config.lr_decay in LR_DECAYS, f"lr_decay {config.lr_decay}: one of {', '.join(LR_DECAYS)}")
    must(config.ema_decay is None or 0 < config.ema_decay < 1, f"ema_decay {config.ema_decay}: between 0 and 1")
    must(set(config.flip) <= {"h", "v"}, f"flip {config.flip}: any of h and v, or empty")
    must(0 <= config.zoom < 0.9, f"zoom {config.zoom}: from 0 to below 0.9")
    must(
        config.prediction != "eps" or config.min_snr_gamma is None or not config.min_snr_floor,
        f"min_snr_floor {config.min_snr_floor}: with prediction=eps it makes pure noise count millions of times, and "
        "the model samples noise; add --set min_snr_floor=0",
    )
    for name in ("drop_map", "drop_class", "drop_style"):
        must(0 <= getattr(config, name) < 1, f"{name} {getattr(config, name)}: from 0 to below 1")
    if config.model not in families.STAGES:
        for f in dataclasses.fields(config):
            if f.name in DIFFUSION_ONLY:
                default = f.default if f.default_factory is dataclasses.MISSING else f.default_factory()
                name = f"--{f.name}" if f.name in ("init", "distill", "compile") else f.name
                must(getattr(config, f.name) == default, f"{name}: only diffusion heeds it, not --model {config.model}")
        return
    if config.model == families.UPSAMPLER:
        must(config.cascade is not None and config.cascade.base is not None, "cascade.base: a second stage needs it")
    if config.cascade:
        _check_cascade(config, config.cascade, must)
    lengths = {len(v) for v in dataclasses.asdict(config.network).values() if isinstance(v, (tuple, list))}
    must(len(lengths) == 1, "network: channels, blocks, attention and spade must name the same number of levels")
    _check_sizes(config.network, must)
    detail, most = config.network.label_detail, 1 if config.model == families.UPSAMPLER else 8
    must(1 <= detail <= most, f"network.label_detail {detail}: from 1 to {most}")
    _check_skips(config.network, must)
    _check_heads(config.network, must)
    parameterisation.check(config.prediction, config.schedule)
    if not config.distill:
        for f in dataclasses.fields(config):
            unheeded = f.name in OF_STUDENTS and getattr(config, f.name) != f.default
            must(not unheeded, f"{f.name}: of a student; name its teacher with --distill")
    else:
        must(config.min_snr_gamma is None, "min_snr_gamma: a student's noise levels have no weights")
        must(config.student_steps >= 1, f"student_steps {config.student_steps}: at least 1")
        must(config.student in STUDENTS, f"student {config.student}: one of {', '.join(STUDENTS)}")
        must(config.classes == "auto", f"--classes {config.classes}: a student has its teacher's")
        distillation.check(config.prediction)


def _check_sizes(network: UNetConfig, must: Callable[[bool, str], None]) -> None:
    must(network.join in ("sum", "concat"), f"network.join {network.join}: sum or concat")
    must(network.norm in ("group", "channel"), f"network.norm {network.norm}: group or channel")
    must(0 <= network.dropout < 1, f"network.dropout {network.dropout}: from 0 to below 1")
    must(network.label_channels >= 0, f"network.label_channels {network.label_channels}: 0 or more")
    for name in ("patch", "channels", "encoder_blocks", "decoder_blocks", "spade_hidden", "spade_kernel", "noise_dim"):
        value = getattr(network, name)
        least = min(value) if isinstance(value, tuple) else value
        must(least >= 1, f"network.{name} {value}: at least 1")
    must(network.spade_kernel % 2 == 1, f"network.spade_kernel {network.spade_kernel}: an odd number")


def _check_skips(network: UNetConfig, must: Callable[[bool, str], None]) -> None:
    """What `models/sr3.py` alone can do, and cannot."""
    must(network.skips in ("level", "block"), f"network.skips {network.skips}: level or block")
    must(network.spade_norms in (1, 2), f"network.spade_norms {network.spade_norms}: 1 or 2")
    if network.skips == "level":
        must(network.spade_norms == 1, "network.spade_norms 2: only with network.skips=block")
        return
    for name, value in (("join", "concat"), ("decoder_blocks", tuple(n + 1 for n in network.encoder_blocks))):
        shown = value if isinstance(value, str) else ",".join(map(str, value))
        must(getattr(network, name) == value, f"network.{name}: with network.skips=block it is {shown}")


def _check_heads(network: UNetConfig, must: Callable[[bool, str], None]) -> None:
    must(network.head_dim >= 1, f"network.head_dim {network.head_dim}: at least 1")
    attended = [*network.attention[:-1], network.attention[-1] or network.middle_attention]
    for channels, attends in zip(network.channels, attended, strict=True):
        heads = heads_for(channels, network.head_dim)
        must(
            not attends or channels % heads == 0,
            f"network.head_dim {network.head_dim}: of {channels} channels it makes {heads} heads of attention, which "
            "do not divide them",
        )


def _check_cascade(config: TrainConfig, cascade: Cascade, must: Callable[[bool, str], None]) -> None:
    must(0 < cascade.share < 1, f"cascade.share {cascade.share}: between 0 and 1")
    must(min(cascade.window) >= 16, f"cascade.window {cascade.window[0]}x{cascade.window[1]}: at least 16x16")
    must(0 <= cascade.picture_noise <= 1, f"cascade.picture_noise {cascade.picture_noise}: from 0 to 1")
    must(0 <= cascade.own <= 1, f"cascade.own {cascade.own}: from 0 to 1")
    if cascade.base:
        shown = "x".join(map(str, cascade.base))
        must(min(cascade.base) >= 8, f"cascade.base {shown}: at least 8x8")
        smaller = all(a < b for a, b in zip(cascade.base, config.size, strict=True))
        must(smaller, f"cascade.base {shown}: smaller than --size {config.size[0]}x{config.size[1]}")


def cascade_of(config: TrainConfig) -> tuple[Cascade, tuple[int, int]]:
    """The cascade of a run that has one, and the size (h, w) of its small pictures."""
    assert config.cascade is not None and config.cascade.base is not None
    return config.cascade, config.cascade.base


def to_dict(config: Any) -> dict[str, Any]:
    """Plain JSON types."""

    def plain(v: Any) -> Any:
        if isinstance(v, dict):
            return {k: plain(x) for k, x in v.items()}
        return list(v) if isinstance(v, tuple) else v

    return plain(dataclasses.asdict(config))
