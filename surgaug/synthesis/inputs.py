"""The inputs of `synthesize`: model, label maps and settings, opened and checked against each other."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from surgaug.datasets.dataset import LabelMaps, would_change
from surgaug.datasets.space_match import INSIST
from surgaug.datasets.survey import read_as
from surgaug.diffusion import samplers
from surgaug.diffusion.parameterisation import KINDS
from surgaug.diffusion.schedules import Schedule
from surgaug.errors import ModelError, UsageError
from surgaug.io.output_folder import READ_AS, STYLE, STYLE_PICTURES
from surgaug.labels.builtin_spaces import load_space
from surgaug.labels.class_statistics import ClassStatistics
from surgaug.labels.label_space import LabelSpace
from surgaug.labels.resize import fit_size, same_aspect
from surgaug.models import families
from surgaug.models.checkpoint import LoadedModel, load_model
from surgaug.perturb.engine import Engine, targets_of
from surgaug.perturb.recipe import Recipe, parse_recipe
from surgaug.runtime.device import pick_device, pick_precision
from surgaug.runtime.distributed import torchrun_group
from surgaug.runtime.feedback import Feedback
from surgaug.synthesis import plan
from surgaug.synthesis.cascade import CascadeGenerator, SmallPictures
from surgaug.synthesis.config import BASE, NATIVE, SynthesizeConfig
from surgaug.synthesis.generators import DiffusionGenerator, OnePassGenerator, check_options
from surgaug.synthesis.judge import JudgeSource, open_judge
from surgaug.synthesis.masks import FAR, digest, factor, of_chosen_split, open_for, output_size
from surgaug.synthesis.model_choice import resolve_model
from surgaug.synthesis.sampling_settings import ONE_PASS, SamplingSettings, choose_settings
from surgaug.synthesis.style_choice import Styles, choose


@dataclass(frozen=True)
class Inputs:
    """What a run works on.

    maps: in the model's label space. pixels: of each of their classes, int64 [N, K]. ranking: the masks' order of first
    use, by position; None for a random one. judge: None without `config.judge`.
    perturbations: as asked for, before they have learnt from the masks; None without `augment`.
    """

    config: SynthesizeConfig
    model_file: Path
    model: LoadedModel
    sampling: SamplingSettings
    generator: DiffusionGenerator | OnePassGenerator | CascadeGenerator | SmallPictures
    styles: Styles
    device: torch.device
    precision: torch.dtype | None
    maps: LabelMaps
    pixels: np.ndarray
    ranking: np.ndarray | None
    judge: JudgeSource | None
    perturbations: Engine | None

    def settings(self) -> dict[str, Any]:
        """What must stay the same when a run goes on, as plain JSON types."""
        config, recipe = self.config, self.perturbations and self.perturbations.recipe
        return {
            "model": self.model.hash,
            "masks": digest(self.maps),
            READ_AS: read_as(self.maps.space, self.pixels),
            "classes": self._classes(),
            "seed": config.seed,
            "order": config.order,
            "size": _told_size(config.size),
            "augment": ",".join(config.augment),
            **({"recipe": recipe.to_dict()} if recipe else {}),
            "sampler": self.sampling.sampler,
            "steps": self.sampling.steps,
            "guidance": self.sampling.guidance,
            STYLE: config.style,
            **({STYLE_PICTURES: self.styles.pictures} if self.styles.pictures else {}),
            "options": self.sampling.options | self.styles.options,
            **({"second": self.sampling.second.described()} if self.sampling.second else {}),
            "precision": "fp32" if self.precision is None else str(self.precision).removeprefix("torch."),
            "layout": config.layout,
            **({"palette": True} if config.palette else {}),
            **({"judge": self._judged_by(self.judge)} if self.judge else {}),
        }

    def _judged_by(self, judge: JudgeSource) -> dict[str, Any]:
        return {"key": judge.key, "trust": self.config.trust, "least_agreement": self.config.least_agreement}

    def _classes(self) -> str:
        """The name of the label space that the masks are given in."""
        given = self.config.classes
        return self.maps.space.name if given in ("auto", INSIST) else load_space(given).name

    def summary(self) -> str:
        """What is about to be done, in one line."""
        sampling, model = self.sampling, self.model
        guidance = "" if sampling.guidance == 1 else f", guidance {sampling.guidance:g}"
        if math.isfinite(sampling.guidance_below):
            guidance += f" below sigma {sampling.guidance_below:g}"
        how = f"{sampling.sampler} {sampling.steps} steps{guidance}" if sampling.sampler != ONE_PASS else model.family
        if sampling.second:
            base = model.first.size
            how += f" at {base[0]}x{base[1]}, made large by {sampling.second.sampler} {sampling.second.steps} steps"
        trained = f"{model.space.num_classes} classes, {model.size[0]}x{model.size[1]}"
        return (
            f"{self.config.n} images from {len(self.maps)} label maps by {self.model_file} ({trained}), "
            f"{how}, on {self.device}"
        )


def open_inputs(config: SynthesizeConfig, feedback: Feedback) -> Inputs:
    """Open the model and the label maps, and check everything that can be checked before the first sample.

    Raises UsageError, DataError or ModelError when something does not fit.
    """
    recipe = _recipe(config, feedback)
    _refuse_out_among_masks(config)
    device = pick_device(config.device, torchrun_group().local_rank)
    precision = pick_precision(config.precision, device)
    model_file = resolve_model(config.model, feedback)
    model = load_model(model_file, device)
    if model.family == families.UPSAMPLER:
        raise UsageError(
            f"{model_file}: a second stage, which makes small pictures large and cannot begin; name the folder above "
            "it, or join it to a first stage: surgaug train --set cascade.first=RUN --set cascade.second=RUN"
        )
    _check_description(model, model_file)
    if config.size == BASE:
        model = model.first
    sampling = choose_settings(config, model)
    generator: DiffusionGenerator | OnePassGenerator | CascadeGenerator | SmallPictures
    if model.stages:
        generator = CascadeGenerator(model, sampling, device, precision)
    elif model.family == families.DIFFUSION:
        generator = DiffusionGenerator(model, sampling, device, precision)
    else:
        generator = OnePassGenerator(model, device, precision)
    styles = choose(config.style, model, model_file, config.options)

    maps, found = open_for(
        model.space, model_file, config.masks, config.classes, feedback, model.meta, config.leave_out_bad
    )
    maps, pixels = of_chosen_split(maps, found.pixels_by_item, config, feedback)
    presence = pixels > 0
    _warn_of_size(config, model, list(found.sizes), feedback)
    _warn_of_unseen(maps, presence, model, feedback)
    maps = replace(maps, scans={})  # counted and checked: workers need not be sent them
    judge = None
    if config.judge is not None:
        sizes = [output_size(size, config.size, model.size, bool(model.stages)) for size in found.sizes]
        smallest = min(sizes, key=math.prod)
        judge = open_judge(config, model, model_file, smallest, device, feedback)
    ranking = plan.rank_rare_first(presence) if config.order == "rare-first" else None
    perturbations = None
    if recipe:
        known = _known_classes(maps.space, model.space)
        perturbations = Engine(known, recipe, targets_of(recipe, known, maps, presence))
        _warn_of_unseen_targets(perturbations.targets, maps, presence, model, feedback)
    elif config.n > len(maps) and not _draws_noise(model):
        feedback.warn(
            f"{model.family} draws no noise: of {config.n} images from {len(maps)} label maps, those of one map are "
            "the same; --augment makes every map another"
        )
    return Inputs(
        config, model_file, model, sampling, generator, styles, device, precision, maps, pixels, ranking, judge,
        perturbations,
    )  # fmt: skip


def _refuse_out_among_masks(config: SynthesizeConfig) -> None:
    """Refuse an output folder that would be read as label maps, or keep them from being read, from the next run on."""
    for source in config.masks if isinstance(config.masks, tuple) else (config.masks,):
        if would_change(source, config.out):
            raise UsageError(
                f"--out {config.out}: lies within --masks {source}, which would be read otherwise with it there; give "
                "another --out (a set begun there can be moved to it)"
            )


def _warn_of_size(
    config: SynthesizeConfig, model: LoadedModel, masks: list[tuple[int, int]], feedback: Feedback
) -> None:
    """Say so where images are asked for in a size that the model was not trained for, or are not of the masks' size
    though a cascade could make them so."""
    trained, native = model.size, config.size == NATIVE
    if isinstance(asked := config.size, tuple) and (other := [mask for mask in masks if not same_aspect(mask, asked)]):
        shown, fitting, mask = ("x".join(map(str, size)) for size in (asked, fit_size(other[0], asked), other[0]))
        feedback.warn(
            f"--size {shown} changes the proportions of label maps of {mask}: what is round in them will not be; "
            f"--size {fitting} keeps them"
        )
    sizes = [config.size] if isinstance(config.size, tuple) else masks if native or model.stages else []
    factors = {size: factor(size, trained) for size in sizes}
    if not factors or max(factors.values()) <= FAR:
        return
    size = max(factors, key=factors.__getitem__)
    if config.size is None:
        fitted = output_size(size, None, trained, True)
        feedback.info(
            f"label maps of {size[0]}x{size[1]} give images and labels of {fitted[0]}x{fitted[1]}, since the model was "
            f"trained at {trained[0]}x{trained[1]}; --size native keeps theirs"
        )
        return
    small = model.first.size
    near_first = model.stages and not native and factor(size, small) <= FAR
    cure = f"for the first stage's pictures of {small[0]}x{small[1]} say --size base" if near_first else ""
    feedback.warn(
        f"--size {'native: ' if native else ''}{size[0]}x{size[1]}: the model was trained at "
        f"{trained[0]}x{trained[1]}, and images that differ from it by a factor of {factors[size]:.1f} will be poor; "
        f"{cure or 'leave --size out, or train at that size'}"
    )


def _warn_of_unseen(maps: LabelMaps, presence: np.ndarray, model: LoadedModel, feedback: Feedback) -> None:
    """Say so where label maps show classes that no training frame did. presence: bool [N, K], by classes of `maps`."""
    known = ClassStatistics.from_dict(model.meta.get("statistics", {}), model.space.ids)
    shown = {i: int(n) for i, n in zip(maps.space.ids, presence.sum(axis=0), strict=True)}
    if unseen := [i for i in known.unseen if shown.get(i)]:
        listed = ", ".join(f"{model.space.by_id(i).name} ({shown[i]} of {len(maps)} label maps)" for i in unseen)
        feedback.warn(
            f"none of the {known.frames} frames that the model was trained on shows {listed}: it cannot know it"
        )


def _warn_of_unseen_targets(
    targets: Mapping[int, float], maps: LabelMaps, presence: np.ndarray, model: LoadedModel, feedback: Feedback
) -> None:
    """As `_warn_of_unseen`, of classes that a balance brings in though no label map shows them.

    targets: shares by id."""
    known = ClassStatistics.from_dict(model.meta.get("statistics", {}), model.space.ids)
    there = {i for i, shown in zip(maps.space.ids, presence.sum(axis=0), strict=True) if shown}
    if unseen := [i for i in known.unseen if targets.get(i) and i not in there]:
        listed = ", ".join(model.space.by_id(i).name for i in unseen)
        feedback.warn(
            f"balance asks for {listed}, which none of the {known.frames} frames that the model was trained on shows: "
            "it cannot know it; take it out of the balance"
        )


def _known_classes(space: LabelSpace, model: LabelSpace) -> LabelSpace:
    """`space` with the model's classes alone. Where the ids were bare to the model and have names in the label maps,
    these may name more classes; no operation may bring in one of them, which the model could not be told."""
    known = set(model.ids)
    classes = (c for c in space.classes if c.id in known)
    return replace(
        space, classes=tuple(replace(c, handle_of=c.handle_of if c.handle_of in known else None) for c in classes)
    )


def _check_description(model: LoadedModel, file: Path) -> None:
    """ModelError where a stage predicts, or is sampled by, what this version does not know."""
    for stage in model.stages or (model,):
        if stage.family not in families.STAGES:
            continue
        own = SamplingSettings(
            stage.defaults.get("sampler", SamplingSettings.sampler), options=stage.defaults.get("options", {})
        )
        try:
            if stage.prediction not in KINDS:
                raise UsageError(f"prediction: {stage.prediction!r} is not one of {', '.join(KINDS)}")
            Schedule.from_dict(stage.schedule)
            check_options(own, samplers.get(own.sampler), "")
        except (UsageError, TypeError) as error:
            raise ModelError(
                f"{file}: its description cannot be used ({error}); was it written by a newer version of surgaug?"
            ) from None


def _told_size(size: tuple[int, int] | str | None) -> str:
    """As settings of version 0.1 have it, so that its sets go on."""
    if isinstance(size, tuple):
        return "x".join(map(str, size))
    return "mask" if size == NATIVE else size or "fit"


def _recipe(config: SynthesizeConfig, feedback: Feedback) -> Recipe | None:
    """How label maps are perturbed, if they are."""
    if not config.augment:
        return None
    recipe = parse_recipe(config.augment)
    if recipe.run.get("keep_originals"):
        feedback.warn(f"{config.augment[0]}: keep_originals is for augment-masks alone, and changes nothing here")
    return recipe


def _draws_noise(model: LoadedModel) -> bool:
    """Whether two images of one label map differ."""
    return model.first.family == families.DIFFUSION or bool(model.net.noise_shapes(model.size))
