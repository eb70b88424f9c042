"""What a run of `synthesize` works on: its inputs, opened and checked, and what each sample is."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from surgaug.datasets.dataset import LabelMaps
from surgaug.datasets.item import WrittenItem
from surgaug.datasets.writer import FOLDERS, DatasetWriter
from surgaug.errors import ModelError
from surgaug.labels.label_space import IGNORE_INDEX, LabelSpace
from surgaug.models import families
from surgaug.models.checkpoint import LoadedModel, load_model
from surgaug.models.compiled import Compiler
from surgaug.perturb.engine import Engine, build, wanted_shares
from surgaug.perturb.recipe import parse_recipe
from surgaug.perturb.scene.scene import Scene
from surgaug.runtime.device import pick_device, pick_precision
from surgaug.runtime.distributed import torchrun_group
from surgaug.runtime.feedback import Feedback
from surgaug.runtime.parallel import cores
from surgaug.synthesis import noise, plan
from surgaug.synthesis.config import SynthesizeConfig
from surgaug.synthesis.generators import Painter
from surgaug.synthesis.masks import digest, of_split, open_for, output_size, to_size
from surgaug.synthesis.model_choice import resolve_model
from surgaug.synthesis.one_pass import OnePassPainter
from surgaug.synthesis.sampling_settings import Recipe, choose_recipe
from surgaug.synthesis.style_choice import Styles, choose
from surgaug.synthesis.write import Painted

# An image whose grey levels spread less than this shows nothing.
FLAT = 2.0


@dataclass(frozen=True)
class Sample:
    """A sample ready to be painted: label map of ids and of the model's indices [H, W], and what was done to it."""

    index: int
    mask: int
    label_map: np.ndarray
    index_map: np.ndarray
    key: int
    perturbations: list[dict[str, Any]]
    classes_kept: bool

    @property
    def size(self) -> tuple[int, int]:
        return self.index_map.shape


@dataclass
class Job:
    """The opened and checked inputs of a run."""

    config: SynthesizeConfig
    file: Path
    model: LoadedModel
    recipe: Recipe
    painter: Painter | OnePassPainter
    styles: Styles
    device: torch.device
    maps: LabelMaps
    space: LabelSpace
    plan: np.ndarray
    settings: dict[str, Any]
    engine: Engine | None

    @classmethod
    def open(cls, config: SynthesizeConfig, feedback: Feedback) -> Job:
        perturbing = parse_recipe(config.augment) if config.augment else None
        if perturbing and perturbing.run.get("keep_originals"):
            feedback.warn(f"{config.augment[0]}: keep_originals is for augment-masks alone, and changes nothing here")
        device = pick_device(config.device, torchrun_group().local_rank)
        precision = pick_precision(config.precision, device)
        file = resolve_model(config.model, feedback)
        model = load_model(file, device)
        recipe = choose_recipe(config, model)
        by_steps = model.family == families.DIFFUSION
        painter = Painter(model, recipe, device, precision) if by_steps else OnePassPainter(model, device, precision)
        styles = choose(config.style, model, file)

        maps, found = open_for(model.space, file, config.masks, config.classes, feedback)
        maps, presence = of_split(maps, found.presence_by_item, config)
        files = [item.label for item in maps.items if item.label]
        ranking = plan.rank_rare_first(presence) if config.order == "rare-first" else None
        settings = {
            "model": model.hash,
            "masks": digest(files),
            "classes": maps.space.name,
            "seed": config.seed,
            "order": config.order,
            "size": "x".join(map(str, config.size)) if isinstance(config.size, tuple) else config.size or "fit",
            "augment": ",".join(config.augment),
            **({"recipe": perturbing.to_dict()} if perturbing else {}),
            "sampler": recipe.sampler,
            "steps": recipe.steps,
            "guidance": recipe.guidance,
            "style": config.style,
            "options": recipe.options,
            "precision": "fp32" if precision is None else str(precision).removeprefix("torch."),
            "layout": config.layout,
            **({"palette": True} if config.palette else {}),
        }
        if not by_steps and not model.net.noise_shapes(model.size) and config.n > len(files) and not perturbing:
            feedback.warn(
                f"{model.family} draws no noise: of {config.n} pictures of {len(files)} label maps, those of one map "
                "are the same; --augment makes every map another"
            )
        masks = plan.assign_masks(config.n, len(maps.items), config.seed, ranking)
        space = _joint_space(maps.space, model.space)
        engine = None
        if perturbing:
            wanted = wanted_shares(perturbing, space, maps, presence)
            engine = Engine(space, perturbing, wanted=wanted)
        return cls(config, file, model, recipe, painter, styles, device, maps, space, masks, settings, engine)

    def learn(self, feedback: Feedback) -> None:
        """Let the engine of perturbations, if there is one, learn from the masks."""
        if self.engine is not None:
            maps = replace(self.maps, scans={})
            workers = self.engine.recipe.run.get("workers") or cores()
            self.engine = build(self.engine, maps, self.config.seed, workers, feedback)

    def summary(self) -> str:
        """What is about to be done, in one line."""
        recipe, model = self.recipe, self.model
        guidance = "" if recipe.guidance == 1 else f", guidance {recipe.guidance:g}"
        if math.isfinite(recipe.guidance_below):
            guidance += f" below sigma {recipe.guidance_below:g}"
        how = model.family if model.family != families.DIFFUSION else f"{recipe.sampler} {recipe.steps} steps{guidance}"
        trained = f"{model.space.num_classes} classes, {model.size[0]}x{model.size[1]}"
        return (
            f"{self.config.n} images from {len(self.maps)} label maps by {self.file} ({trained}), "
            f"{how}, on {self.device}"
        )

    @cached_property
    def target(self) -> DatasetWriter:
        """Where the samples go."""
        return DatasetWriter(self.config.out, self.config.layout, self.space, self.config.palette)

    def frame(self, k: int) -> WrittenItem:
        """Sample k as a pair of the data set that is written."""
        item = self.maps.items[self.plan[k]]
        split = None if self.config.layout == FOLDERS else "train"
        return WrittenItem(plan.sample_name(item.name, k), k, split, item.video or item.name, True, str(item.label))

    def names(self, k: int) -> tuple[str, str]:
        """The image's and the label's path of sample k, within the output folder."""
        return self.target.paths(self.frame(k))

    def samples(self, indices: list[int]) -> Iterator[Sample]:
        """The samples with their label maps, made one by one; samples of one mask come in a row and share it."""
        lookup = np.full(max(self.space.max_id, self.maps.space.max_id) + 1, IGNORE_INDEX, np.uint8)
        lookup[list(self.model.space.ids)] = np.arange(self.model.space.num_classes)
        config = self.config

        @lru_cache(maxsize=1)
        def scene(mask: int) -> Scene:
            assert self.engine is not None  # only where label maps are changed
            return self.engine.scene(self.maps.load(mask))

        @lru_cache(maxsize=1)
        def plain(mask: int) -> tuple[np.ndarray, np.ndarray, bool]:
            return fitted(self.maps.load(mask))

        def fitted(source: np.ndarray) -> tuple[np.ndarray, np.ndarray, bool]:
            label_map = to_size(source, output_size(source.shape, config.size, self.model.size), self.space)
            return label_map, lookup[label_map], set(np.unique(source)) <= set(np.unique(label_map))

        for k in indices:
            mask = int(self.plan[k])
            if self.engine is not None:
                rng = noise.perturbation_rng(config.seed, k)
                made = self.engine.make(scene(mask), mask, rng, must_change=False)
                label_map, index_map, kept = fitted(made.label_map)
                yield Sample(k, mask, label_map, index_map, -1 - k, made.records, kept)
            else:
                label_map, index_map, kept = plain(mask)
                yield Sample(k, mask, label_map, index_map, mask, [], kept)

    def paint(self, batch: list[Sample], on_step: Callable[[], None], compiler: Compiler) -> list[Painted]:
        """The batch's images, with their manifest rows."""
        indices, seed = [s.index for s in batch], self.config.seed
        drawn = [self.styles.draw(seed, k) for k in indices]
        try:
            images = self.painter.paint(
                [s.index_map for s in batch],
                [s.key for s in batch],
                lambda step, shape: noise.batch_noise(seed, indices, step, shape),
                np.stack([code for _, code in drawn]),
                on_step,
            )
        except FloatingPointError as error:
            raise ModelError(
                f"{self.file}: {error} (samples {indices[0]} to {indices[-1]}); "
                "try --precision fp32, and if that does not help, train again: the weights are spoilt"
            ) from None
        return [
            Painted(image, self.target.encode(s.label_map), self.row(s, image, style, compiler.compiled))
            for s, image, (style, _) in zip(batch, images, drawn, strict=True)
        ]

    def row(self, sample: Sample, image: np.ndarray, style: str | None, compiled: bool) -> dict[str, Any]:
        """The manifest row of a painted sample."""
        item, (image_name, label_name) = self.maps.items[sample.mask], self.names(sample.index)
        ids, counts = np.unique(sample.label_map, return_counts=True)
        classes = {str(i): int(n) for i, n in zip(ids, counts, strict=True) if int(i) in self.space.ids}
        return {
            "index": sample.index,
            "image": image_name,
            "label": label_name,
            "mask": item.name,
            "source": str(item.label),
            **({"video": item.video} if item.video else {}),
            **({"split": item.split} if item.split else {}),
            "size": list(sample.size),
            "perturbations": sample.perturbations,
            "seed": self.config.seed,
            "sampler": self.recipe.sampler,
            "steps": self.recipe.steps,
            "guidance": self.recipe.guidance,
            **({"style": style} if style else {}),
            **({"options": self.recipe.options} if self.recipe.options else {}),
            "model": self.model.hash,
            **({"compiled": True} if compiled else {}),
            "classes": classes,
            "checks": {"not_flat": bool(image.std() >= FLAT), "classes_kept": sample.classes_kept},
        }


def _joint_space(masks: LabelSpace, model: LabelSpace) -> LabelSpace:
    """The model's classes (the masks' where the model was trained without names), and the masks' ignore value."""
    named = masks if model.name == "auto" and set(masks.ids) >= set(model.ids) else model
    return LabelSpace(named.name, named.classes, model.ignore if masks.ignore is None else masks.ignore)
