"""How an image is drawn from noise: sampler, steps and guidance, as asked for or as the model file says."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from surgaug.diffusion import samplers
from surgaug.errors import UsageError
from surgaug.models import families
from surgaug.models.checkpoint import LoadedModel
from surgaug.synthesis.config import SynthesizeConfig

NOT_THE_SAMPLERS = ("spacing", "guidance_below")


@dataclass(frozen=True)
class SamplingSettings:
    """How an image is drawn from noise.

    guidance: 1 is none. options: go to the sampler (eta, variance), but for two: `spacing`, how the noise levels are
    chosen (each sampler has its own default), and `guidance_below`, the highest sigma with guidance
    (`diffusion/guidance.py`).
    """

    sampler: str = "ddim"
    steps: int = 40
    guidance: float = 1.0
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def spacing(self) -> str:
        return self.options.get("spacing", samplers.spacing(self.sampler))

    @property
    def guidance_below(self) -> float:
        return self.options.get("guidance_below", math.inf)

    @property
    def sampler_options(self) -> dict[str, Any]:
        return {name: value for name, value in self.options.items() if name not in NOT_THE_SAMPLERS}


def choose_settings(config: SynthesizeConfig, model: LoadedModel) -> SamplingSettings:
    """What `config` says, else what the model file says. UsageError for what this model cannot do."""
    if model.family != families.DIFFUSION:
        given = {"sampler": config.sampler, "steps": config.steps, "guidance": config.guidance}
        given |= {f"set {name}": value for name, value in config.options.items()}
        if names := [name for name, value in given.items() if value is not None]:
            raise UsageError(
                f"--{names[0]}: {model.family} synthesizes in one pass; only diffusion models have samplers"
            )
        return SamplingSettings(sampler="one-pass", steps=1)
    defaults = {"sampler": SamplingSettings.sampler, "guidance": SamplingSettings.guidance, **model.defaults}
    if defaults.get("student"):
        return _of_student(config, defaults)
    sampler, guidance = config.sampler or defaults["sampler"], config.guidance
    steps = config.steps
    if steps is None:  # the model's are its own sampler's
        own = defaults.get("steps") if sampler == defaults["sampler"] else None
        steps = own or samplers.steps(sampler)
    if guidance not in (None, 1) and _always_saw_maps(model):
        raise UsageError(
            f"--guidance {guidance:g}: this model was trained with every label map (drop_map 0), so it cannot do "
            "without one, as guidance must; give --guidance 1"
        )
    scale = float(defaults["guidance"] if guidance is None else guidance)
    return SamplingSettings(sampler, steps, scale, _options(config, scale, defaults.get("guidance_below")))


def _options(config: SynthesizeConfig, guidance: float, usual: float | None) -> dict[str, Any]:
    """`config.options` with the noise levels of guidance: those said, or the model's `usual` ones; none for all."""
    options = dict(config.options)
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


def _of_student(config: SynthesizeConfig, defaults: dict[str, Any]) -> SamplingSettings:
    """A student knows one sampler, one number of steps and its own noise levels."""
    for name, value in {"sampler": config.sampler, "steps": config.steps, **config.options}.items():
        own = defaults.get(name, defaults["options"].get(name))
        if value not in (None, own):
            raise UsageError(
                f"--{'set ' if name in config.options else ''}{name} {value}: this model is a student, distilled "
                f"for {defaults['sampler']} in {defaults['steps']} steps and nothing else; use its teacher for that"
            )
    guidance = defaults["guidance"] if config.guidance is None else config.guidance
    return SamplingSettings(defaults["sampler"], defaults["steps"], float(guidance), defaults["options"])
