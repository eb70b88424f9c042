"""How an image is drawn from noise: sampler, steps and guidance, as asked for or as the model file says."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from surgaug.diffusion import samplers
from surgaug.diffusion.schedules import LEAST_HAND_OVER
from surgaug.errors import UsageError
from surgaug.models import families
from surgaug.models.checkpoint import LoadedModel
from surgaug.synthesis import style_settings
from surgaug.synthesis.config import SynthesizeConfig

ONE_PASS = "one-pass"  # in the sampler's place, for models that have none
NOT_THE_SAMPLERS = ("spacing", "guidance_below")
# Settings of a cascade's second stage are told by `--set second.KEY=VALUE`.
SECOND = "second."
MOST_SHARPER = 2.0


@dataclass(frozen=True)
class SamplingSettings:
    """How an image is drawn from noise.

    guidance: 1 is none. options: go to the sampler (eta, variance), but for two: `spacing`, how the noise levels are
    chosen (each sampler has its own default), and `guidance_below`, the highest sigma with guidance
    (`diffusion/guidance.py`). second: those of a cascade's second stage, of which `picture_noise` is the standard
    deviation of the noise on the small picture, `start` the sigma at which sampling begins, `grain` the standard
    deviation of the noise that is added to the image at last (images lie in [-1, 1]), and `sharper` what is added to
    the style's last number, half the logarithm of detail.
    """

    sampler: str = "ddim"
    steps: int = 40
    guidance: float = 1.0
    options: dict[str, Any] = field(default_factory=dict)
    second: SamplingSettings | None = None
    picture_noise: float = 0.0
    start: float | None = None
    grain: float = 0.0
    sharper: float = 0.0

    @property
    def spacing(self) -> str:
        return self.options.get("spacing", samplers.spacing(self.sampler))

    @property
    def guidance_below(self) -> float:
        return self.options.get("guidance_below", math.inf)

    @property
    def sampler_options(self) -> dict[str, Any]:
        return {name: value for name, value in self.options.items() if name not in NOT_THE_SAMPLERS}

    def described(self) -> dict[str, Any]:
        """The settings of a second stage as plain values, for descriptions and manifest rows."""
        told: dict[str, Any] = {"sampler": self.sampler, "steps": self.steps, "guidance": self.guidance}
        told |= {"picture_noise": self.picture_noise, "start": self.start}
        told |= {name: value for name in ("grain", "sharper") if (value := getattr(self, name))}
        return told | ({"options": self.options} if self.options else {})


@dataclass(frozen=True)
class _Asked:
    """What the user says of one network's sampling; None: nothing. flag: how the settings are named in messages."""

    sampler: str | None
    steps: int | None
    guidance: float | None
    options: Mapping[str, Any]
    flag: str = "--"


def choose_settings(config: SynthesizeConfig, model: LoadedModel) -> SamplingSettings:
    """What `config` says, else what the model file says. UsageError for what this model cannot do."""
    second = {k.removeprefix(SECOND): v for k, v in config.options.items() if k.startswith(SECOND)}
    options = {k: v for k, v in config.options.items() if not k.startswith((SECOND, style_settings.PREFIX))}
    first = _of_network(_Asked(config.sampler, config.steps, config.guidance, options), model.first)
    if not model.stages:
        if second:
            raise UsageError(f"--set {SECOND}{min(second)}: this model has no second stage")
        return first
    return replace(first, second=_of_second(second, model.stages[1]))


def _of_network(asked: _Asked, model: LoadedModel) -> SamplingSettings:
    if model.family not in families.STAGES:
        given = {"sampler": asked.sampler, "steps": asked.steps, "guidance": asked.guidance}
        given |= {f"set {name}": value for name, value in asked.options.items()}
        if names := [name for name, value in given.items() if value is not None]:
            raise UsageError(
                f"--{names[0]}: {model.family} synthesizes in one pass; only diffusion models have samplers"
            )
        return SamplingSettings(sampler=ONE_PASS, steps=1)
    defaults = {"sampler": SamplingSettings.sampler, "guidance": SamplingSettings.guidance, **model.defaults}
    guidance = asked.guidance
    if guidance not in (None, 1) and _always_saw_maps(model):
        raise UsageError(
            f"{asked.flag}guidance {guidance:g}: this model was trained with every label map (drop_map 0), so it "
            f"cannot do without one, as guidance must; give {asked.flag}guidance 1"
        )
    if defaults.get("student"):
        return _of_student(asked, defaults)
    sampler = asked.sampler or defaults["sampler"]
    steps = asked.steps
    if steps is None:  # the model's are its own sampler's
        own = defaults.get("steps") if sampler == defaults["sampler"] else None
        steps = own or samplers.steps(sampler)
    scale = _scale(asked, defaults)
    options = _options(asked, scale, defaults.get("guidance_below"))
    if sampler == defaults["sampler"]:
        options = {**defaults.get("options", {}), **options}
    return SamplingSettings(sampler, steps, scale, options)


def _of_second(given: dict[str, Any], model: LoadedModel) -> SamplingSettings:
    """The settings of a second stage. given: those asked for, without the prefix of their keys."""
    hand_over = model.schedule["hand_over"]
    defaults = model.defaults
    own = {"picture_noise": defaults["picture_noise"], "start": hand_over, "grain": defaults.get("grain", 0.0)}
    own["sharper"] = defaults.get("sharper", 0.0)
    numbers = {name: given.pop(name, value) for name, value in own.items()}
    highest = model.meta.get("train", {}).get("cascade", {}).get("picture_noise", math.inf)
    trained = ", the most that it was trained with"
    for name, least, limit, why in (
        ("picture_noise", 0, highest, trained),
        ("start", LEAST_HAND_OVER, hand_over, trained),
        ("grain", 0, 1.0, ""),
        ("sharper", 0, MOST_SHARPER, ""),
    ):
        value = numbers[name]
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= limit:
            raise UsageError(f"--set {SECOND}{name}={value}: from {least:g} to {limit:g}{why}")
    asked = _Asked(
        given.pop("sampler", None), given.pop("steps", None), given.pop("guidance", None), given, f"--set {SECOND}"
    )
    for name, value, kind in (("steps", asked.steps, int), ("guidance", asked.guidance, (int, float))):
        if value is not None and (isinstance(value, bool) or not isinstance(value, kind)):
            raise UsageError(f"--set {SECOND}{name}={value}: expected a number")
    return replace(_of_network(asked, model), **numbers)


def _options(asked: _Asked, guidance: float, usual: float | None) -> dict[str, Any]:
    """`asked.options` with the bound of guidance: the one asked for, else the model's `usual` one; without any where
    there is none."""
    options = dict(asked.options)
    given = options.pop("guidance_below", None)
    if given is not None and guidance == 1:
        raise UsageError("--set guidance_below: with --guidance 1 there is no guidance to limit; leave it out")
    try:
        below = float(usual or math.inf) if given is None else float(given)
    except (TypeError, ValueError):
        below = math.nan
    if not below > 0:
        raise UsageError(f"--set guidance_below={given}: a noise level sigma above 0, or inf for all")
    return options | ({"guidance_below": below} if guidance != 1 and below < math.inf else {})


def _always_saw_maps(model: LoadedModel) -> bool:
    """Whether no training of it, as far as its file says, left label maps out."""
    train = model.meta.get("train", {})
    return train.get("drop_map") == 0 and not train.get("init")


def _of_student(asked: _Asked, defaults: dict[str, Any]) -> SamplingSettings:
    """A student knows one sampler, one number of steps and its own noise levels."""
    for name, value in {"sampler": asked.sampler, "steps": asked.steps, **asked.options}.items():
        own = defaults.get(name, defaults["options"].get(name))
        if value not in (None, own):
            raise UsageError(
                f"{'--set ' if name in asked.options else asked.flag}{name} {value}: this model is a student, "
                f"distilled for {defaults['sampler']} in {defaults['steps']} steps and nothing else; use its teacher "
                "for that"
            )
    return SamplingSettings(defaults["sampler"], defaults["steps"], _scale(asked, defaults), defaults["options"])


def _scale(asked: _Asked, defaults: Mapping[str, Any]) -> float:
    """The guidance asked for, else the model's. Without any, or with less, an image does not show its label map."""
    scale = float(defaults["guidance"] if asked.guidance is None else asked.guidance)
    if not 0 < scale < math.inf:
        raise UsageError(f"{asked.flag}guidance {scale:g}: above 0; 1 is the label map as it was learnt, 3 is much")
    return scale
