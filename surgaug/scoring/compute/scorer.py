"""One synthetic folder after the other against the real one: what they share is computed once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from surgaug.datasets.dataset import PairedFrames
from surgaug.datasets.survey import Survey, refuse_other_size, survey
from surgaug.errors import DataError
from surgaug.io.images import image_size
from surgaug.labels.resize import resize_label_map
from surgaug.runtime.feedback import Feedback
from surgaug.runtime.parallel import cores, in_threads
from surgaug.scoring import features, metrics
from surgaug.scoring.compute import leakage, regions
from surgaug.scoring.compute.cache import FeatureCache
from surgaug.scoring.compute.energy import separation
from surgaug.scoring.compute.extraction import Extraction, PairValue, Partners, Pass, Size, pair_value, run_pass
from surgaug.scoring.compute.intervals import pair_measure, set_measures
from surgaug.scoring.compute.other_videos import TOGETHER, Sides, frames_of_videos, sides
from surgaug.scoring.config import Weights
from surgaug.scoring.features import Feature
from surgaug.scoring.inputs import Folder, Pairing, pair
from surgaug.scoring.metrics.diversity import diversity_measure, pairs_of_one_map
from surgaug.scoring.plan import PlannedMeasure
from surgaug.scoring.report.model import ClassMeasure, ClassShare, Measure, Row, Separation
from surgaug.scoring.report.notes import folder_notes, size_text

NO_REPEATS = "no label map has two images: let synthesize make more images than there are masks"
FINGERPRINT, CLASS_FRECHET = "fingerprint", "class_frechet"


class Scorer:
    """Holds what all rows share: the networks, the real folder's features by size, its classes.

    real, train: the folders; `train` None where leakage is not asked for.
    """

    def __init__(
        self,
        measures: dict[str, PlannedMeasure],
        weights: Weights,
        real: Folder,
        train: Folder | None,
        device: torch.device,
        workers: int,
        draws: int,
        seed: int,
        cache: FeatureCache,
        feedback: Feedback,
    ) -> None:
        self._measures, self._weights, self.real, self._train = measures, weights, real, train
        self.device, self.workers, self._draws, self._seed = device, workers or cores(), draws, seed
        self._cache, self._feedback = cache, feedback
        extractors = _load_features({m.feature for m in measures.values() if not m.missing}, weights, device)
        if train is not None:
            facts = {"dimension": leakage.DIMENSION, "weights": None}
            extractors[FINGERPRINT] = Feature(leakage.fingerprint, f"{FINGERPRINT} {leakage.VERSION}", facts=facts)
        of_pairs = {m.name for m in measures.values() if m.metric.needs in ("pair", "repeats") and not m.feature}
        self._pair_metrics = {name: _load_pair_metric(name, weights, device) for name in sorted(of_pairs)}
        self._paired = [m.name for m in measures.values() if m.metric.needs == "pair"]
        needs_regions = any(m.metric.needs == "regions" for m in measures.values())
        self._extraction = Extraction(extractors, needs_regions, self.workers, cache)
        self._real_passes: dict[Size, Pass] = {}
        self._train_features: dict[Size, np.ndarray] = {}
        self._video_sides: dict[Size, dict[str, Sides]] = {}

    @cached_property
    def real_sizes(self) -> Counter[Size]:
        """How many real frames there are of each size."""
        return Counter(in_threads(image_size, self.real.images, self.workers))

    @cached_property
    def other_videos(self) -> dict[str, np.ndarray]:
        """By video that the real folder has no frame of, positions of its frames in the training folder."""
        if self._train is None:
            return {}
        return frames_of_videos(self._train.videos(), [video for video in self.real.videos() if video])

    def row(self, folder: Folder, name: str) -> Row:
        """One synthetic folder against the real one."""
        sizes = Counter(in_threads(image_size, folder.images, self.workers))
        size = max(sizes, key=lambda s: (sizes[s], s))
        pairing = pair(folder, self.real) if self._paired else None
        seen = self._synthetic_pass(folder, name, size, pairing)
        real = self._real_pass(size) if self._extraction.features or self._extraction.regions else Pass()
        shares, no_shares = self._class_shares(folder)
        by_class = self._region_measures(folder, real, seen)
        leaks = self._leakage(folder, size, seen, real)
        videos = self._sides(size, real)
        sets = self._set_measures(folder, real, seen, videos)
        measure_of: dict[str, Callable[[PlannedMeasure], Measure]] = {
            "pair": lambda m: self._pair_measure(m, seen, pairing),
            "features": lambda m: sets[m.name, m.feature][m.figure],
            "regions": lambda m: _over_classes(*by_class[m.name]) if by_class else self._without_labels(folder),
            "labels": lambda m: _label_measure(m, shares, len(folder), no_shares),
            "repeats": lambda m: self._diversity(m, folder, seen, real),
        }
        measures = {
            key: Measure(None, len(folder), reason=m.missing) if m.missing else measure_of[m.metric.needs](m)
            for key, m in self._measures.items()
        }
        return Row(
            name=name,
            path=str(folder.root),
            images=len(folder),
            size=size,
            pairs=pairing.count if pairing else 0,
            pairs_by=pairing.by if pairing else "",
            measures={**measures, **(leaks.measures if leaks else {})},
            classes=shares,
            classes_reason=no_shares,
            notes=(
                *folder_notes(folder, self.real, sizes, self.real_sizes, size, seen, pairing, self._deep(seen)),
                *(leaks.notes if leaks else ()),
            ),
            class_frechet=by_class[CLASS_FRECHET][1] if CLASS_FRECHET in by_class else (),
            closest=leaks.closest if leaks else (),
            settings=folder.settings,
            separations=self._separations(folder, real, seen, videos),
            videos=len(folder.source_videos()) or None,
        )

    def yardstick(self) -> dict[str, int]:
        """The videos of the second yardstick, with the number of frames of each; once a row is measured."""
        found = next((s for by_extractor in self._video_sides.values() for s in by_extractor.values()), {})
        return {video: len(frames) for video, (frames, _) in found.items() if video != TOGETHER}

    def facts(self) -> dict[str, Any]:
        """What the features and weights were, for the report."""
        of_pairs = {name: metric.facts for name, (metric, _) in self._pair_metrics.items() if hasattr(metric, "facts")}
        return {**{name: feature.facts for name, feature in self._extraction.features.items()}, **of_pairs}

    def _deep(self, seen: Pass) -> dict[str, int]:
        """Fréchet distances on features of networks, by title, with the dimension of the covariance."""
        planned = [m for m in self._measures.values() if m.definition.deep and m.name == "frechet" and m.feature]
        return {
            "FID" if m.feature == "inception" else m.definition.title: seen.features[m.feature].shape[1]
            for m in planned
            if m.feature
        }

    def _synthetic_pass(self, folder: Folder, name: str, size: Size, pairing: Pairing | None) -> Pass:
        partners = None
        if pairing is not None and pairing.count:
            paths = tuple(self.real.images[i] if i >= 0 else None for i in pairing.partner)
            partners = Partners(paths, pairing.partner, {m: self._pair_metrics[m] for m in self._paired})
        labels = _labels(folder, size) if self.real.frames else None
        return run_pass(folder.images, size, self._extraction, self._feedback, name, labels, partners)

    def _real_pass(self, size: Size) -> Pass:
        if size not in self._real_passes:
            description = f"real frames at {size_text(size)}"
            self._real_passes[size] = run_pass(
                self.real.images, size, self._extraction, self._feedback, description, _labels(self.real, size)
            )
        return self._real_passes[size]

    def _sides(self, size: Size, real: Pass) -> dict[str, Sides]:
        """What the second yardstick is made of, by extractor."""
        if size not in self._video_sides:
            extractors = {key: f for key, f in self._extraction.features.items() if key != FINGERPRINT}
            positions = np.concatenate([np.zeros(0, int), *self.other_videos.values()])
            ends = np.cumsum([len(p) for p in self.other_videos.values()])[:-1]
            found: dict[str, np.ndarray] = {}
            if extractors and len(positions) and self._train is not None:
                images = tuple(self._train.images[i] for i in positions)
                extraction = Extraction(extractors, False, self.workers, self._cache)
                description = f"frames of other videos at {size_text(size)}"
                found = run_pass(images, size, extraction, self._feedback, description).features
            self._video_sides[size] = {
                key: sides(
                    real.features[key],
                    self.real.videos(),
                    dict(zip(self.other_videos, np.split(found[key], ends), strict=True)) if found else {},
                )
                for key in extractors
            }
        return self._video_sides[size]

    def _set_measures(
        self, folder: Folder, real: Pass, seen: Pass, videos: dict[str, Sides]
    ) -> dict[tuple[str, str | None], list[Measure]]:
        """Each metric of features once on each extractor, however many figures it gives."""
        planned = [m for m in self._measures.values() if m.metric.needs == "features" and not m.missing]
        groups = folder.sources()
        return {
            (name, feature): set_measures(
                metrics.get(name),
                real.features[feature],
                seen.features[feature],
                self._draws,
                self._seed,
                videos[feature],
                groups,
            )
            for name, feature in dict.fromkeys((m.name, m.feature) for m in planned)
            if feature is not None
        }

    def _separations(self, folder: Folder, real: Pass, seen: Pass, videos: dict[str, Sides]) -> dict[str, Separation]:
        """The distance behind the verdict on the look, by each kind of features."""
        titles = {key: module.title(self._weights) for key, module in features.available(self._weights).items()}
        titles["inception"] = "Inception"
        partner, groups = pair(folder, self.real).partner, folder.sources()
        return {
            key: separation(
                titles[key], found, real.features[key], groups, partner, self._seed, self._draws, videos[key]
            )
            for key, found in seen.features.items()
            if key != FINGERPRINT
        }

    def _region_measures(self, folder: Folder, real: Pass, seen: Pass) -> dict[str, tuple[Measure, tuple]]:
        """Each metric of regions: its mean over classes, and each class's. Empty where labels are missing."""
        if not (folder.frames and self.real.frames):
            return {}
        spaces = self.real.frames.space, folder.frames.space
        return {
            m.name: regions.compare(
                m.metric, real.regions, seen.regions, spaces, self._draws, self._seed, folder.sources()
            )
            for m in self._measures.values()
            if m.metric.needs == "regions"
        }

    def _pair_measure(self, planned: PlannedMeasure, seen: Pass, pairing: Pairing | None) -> Measure:
        values, sources = seen.pairs.get(planned.name, (np.empty(0), np.empty(0)))
        if len(values):
            return pair_measure(values, sources, np.random.default_rng(self._seed))
        return Measure(None, 0, reason=seen.pair_errors.get(planned.name) or _no_pairs(pairing))

    def _diversity(self, planned: PlannedMeasure, folder: Folder, seen: Pass, real: Pass) -> Measure:
        if folder.frames is None:
            return Measure(None, 0, reason=folder.no_labels)
        rng = np.random.default_rng(self._seed)
        maps = in_threads(lambda i: _label_map(folder, i).tobytes(), range(len(folder)), self.workers)
        pairs, groups = pairs_of_one_map([hash(m) for m in maps], rng)
        if not len(pairs):
            return Measure(None, 0, reason=NO_REPEATS)

        if planned.feature:
            distances = [_euclidean(p.features[planned.feature]) for p in (seen, real)]
        else:
            metric, identity = self._pair_metrics[planned.name]
            apart = (lambda value: 1 - value) if metrics.get(planned.name).better == "higher" else (lambda value: value)

            def of(images: tuple[Path, ...]) -> Callable[[int, int], float]:
                return lambda a, b: apart(pair_value(metric, identity, images[a], images[b], self._cache))

            distances = [of(folder.images), of(self.real.images)]
        try:
            return diversity_measure(distances[0], distances[1], pairs, groups, len(self.real), rng)
        except ValueError as reason:
            return Measure(None, len(pairs), reason=str(reason))

    def _leakage(self, folder: Folder, size: Size, seen: Pass, real: Pass) -> leakage.Leakage | None:
        if self._train is None:
            return None
        if size not in self._train_features:
            only = {FINGERPRINT: self._extraction.features[FINGERPRINT]}
            extraction = Extraction(only, False, self.workers, self._cache)
            found = run_pass(
                self._train.images, size, extraction, self._feedback, f"training frames at {size_text(size)}"
            )
            self._train_features[size] = found.features[FINGERPRINT]
        clusters = [video or name for video, name in zip(self.real.videos(), self.real.names, strict=True)]
        groups = _numbers(folder.sources()), _numbers(clusters)
        prints = [p.features[FINGERPRINT] for p in (seen, real)]
        return leakage.find_leakage(
            prints[0], prints[1], self._train_features[size], folder.images, self._train.images, groups, self._seed
        )

    def _without_labels(self, folder: Folder) -> Measure:
        return Measure(None, 0, reason=self.real.no_labels or folder.no_labels)

    def _class_shares(self, folder: Folder) -> tuple[tuple[ClassShare, ...] | None, str | None]:
        if self.real.frames is None:
            return None, self.real.no_labels
        if folder.frames is None:
            return None, folder.no_labels
        try:
            return _class_shares(self._real_survey, self._survey(folder.frames)), None
        except DataError as reason:
            self._feedback.warn(f"no class balance: {reason}")
            return None, str(reason)

    @cached_property
    def _real_survey(self) -> Survey:
        assert self.real.frames is not None  # or there is no balance
        return self._survey(self.real.frames)

    def _survey(self, frames: PairedFrames) -> Survey:
        return survey(frames, self._feedback, need_images=False)


def _load_features(names: set[str | None], weights: Weights, device: torch.device) -> dict[str, Feature]:
    """Extractors by what they are called in keys. ModelError for weights that are not what they should be."""
    return {key: module.load(weights, device) for key, module in features.available(weights).items() if key in names}


def _load_pair_metric(name: str, weights: Weights, device: torch.device) -> tuple[PairValue, str]:
    """A metric of pairs, with what identifies its values. ModelError as `_load_features`."""
    metric = metrics.get(name)
    if metric.load is not None:
        network = metric.load(weights, device)
        return network, f"{name} {metric.version} {network.sha256}"
    assert metric.compute is not None  # it has one or the other
    return metric.compute, f"{name} {metric.version}"


def _class_shares(real: Survey, synth: Survey) -> tuple[ClassShare, ...]:
    """Shares of the classes that occur in either set, by id."""

    def by_id(found: Survey) -> dict[int, tuple[str, float, float]]:
        pixels, frames = found.pixels / max(1, found.pixels.sum()), found.presence / max(1, found.count)
        return {
            i: (name, float(p), float(f))
            for i, name, p, f in zip(found.space.ids, found.space.names, pixels, frames, strict=True)
        }

    sides = by_id(real), by_id(synth)
    shares = []
    for i in sorted({*sides[0], *sides[1]}):
        (name, *of_real), (other_name, *of_synth) = (side.get(i, ("", 0.0, 0.0)) for side in sides)
        if of_real[0] or of_synth[0]:
            shares.append(ClassShare(i, name or other_name, of_real[0], of_synth[0], of_real[1], of_synth[1]))
    return tuple(shares)


def _over_classes(mean: Measure, classes: tuple[ClassMeasure, ...]) -> Measure:
    """A mean over classes, with the classes that it is made of."""
    return replace(mean, classes=tuple(c.id for c in classes if c.measure.value is not None))


def _label_measure(
    planned: PlannedMeasure, shares: tuple[ClassShare, ...] | None, images: int, reason: str | None
) -> Measure:
    if shares is None or planned.metric.compute is None:
        return Measure(None, images, reason=reason)
    real, synth = (np.array([getattr(c, side) for c in shares]) for side in ("real_pixels", "synth_pixels"))
    return Measure(planned.metric.compute(real, synth), images)


def _labels(folder: Folder, size: Size) -> Callable[[int], np.ndarray] | None:
    if folder.frames is None:
        return None
    space = folder.frames.space

    def load(i: int) -> np.ndarray:
        image, label = folder.images[i], folder.labels[i]
        label_map = _label_map(folder, i)
        assert label is not None  # or there is no map
        refuse_other_size(image, label, image_size(image), label_map.shape)
        return resize_label_map(label_map, size, space)

    return load


def _label_map(folder: Folder, i: int) -> np.ndarray:
    """Ids [H, W] of image i of a folder with labels. DataError where it has none, though others do."""
    assert folder.frames is not None
    if folder.labels[i] is None:
        raise DataError(
            f"{folder.images[i]}: no label map of that name; add it, or leave the image out (--leave-out-bad)"
        )
    return folder.frames.load_label(folder.positions[i])


def _euclidean(features: np.ndarray) -> Callable[[int, int], float]:
    return lambda a, b: float(np.linalg.norm(features[a].astype(np.float64) - features[b]))


def _numbers(names: list[str]) -> np.ndarray:
    return np.unique(names, return_inverse=True)[1]


def _no_pairs(pairing: Pairing | None) -> str:
    if pairing and pairing.changed:
        return "every paired image was synthesized from a changed mask"
    return "no pair: no image has the name of a real frame, and no manifest names one as source"
