"""What each sample is: its mask, its name, and its label map. Sample k depends on the seed and k alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Any

import numpy as np

from surgaug.datasets.item import WrittenItem
from surgaug.datasets.writer import FOLDERS
from surgaug.labels.label_space import IGNORE_INDEX
from surgaug.perturb.engine import Engine
from surgaug.synthesis import noise, plan
from surgaug.synthesis.inputs import Inputs
from surgaug.synthesis.masks import output_size, to_size


@dataclass(frozen=True)
class Sample:
    """Sample `index`, made from the mask at position `mask`: its label map, and what was done to it.

    label_map: ids [H, W]. index_map: the model's class indices uint8 [H, W]. key: equal keys mean equal label maps.
    classes_kept: whether every class of the map survived the change of size. draw: how often it was drawn before.
    """

    index: int
    mask: int
    label_map: np.ndarray
    index_map: np.ndarray
    key: int
    perturbations: list[dict[str, Any]]
    classes_kept: bool
    draw: int = 0

    @property
    def size(self) -> tuple[int, int]:
        return self.index_map.shape


class SampleFrames(Sequence[WrittenItem]):
    """The samples as pairs of the data set that is written, each made when it is asked for: a list of a million would
    take half a gibibyte in every shard."""

    def __init__(self, samples: Samples):
        self._samples = samples

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, k: Any) -> Any:
        if isinstance(k, slice):
            return [self[i] for i in range(*k.indices(len(self)))]
        if not -len(self) <= k < len(self):
            raise IndexError(k)
        return self._samples.frame(k % len(self))


class Samples:
    """The samples of a run: `masks` int64 [n] is the mask (its position) of each.

    hardness: float [N] of the masks, by which they come more or less often; None: in equal shares.
    """

    def __init__(self, inputs: Inputs, hardness: np.ndarray | None = None):
        self._inputs = inputs
        n, seed = inputs.config.n, inputs.config.seed
        self.masks = (
            plan.assign_masks(n, len(inputs.maps), seed, inputs.ranking)
            if hardness is None
            else plan.assign_hard(n, hardness, seed)
        )

    def __len__(self) -> int:
        return len(self.masks)

    def frame(self, k: int) -> WrittenItem:
        """Sample k as a pair of the data set that is written."""
        item = self._inputs.maps.items[self.masks[k]]
        split = None if self._inputs.config.layout == FOLDERS else "train"
        return WrittenItem(plan.sample_name(item.name, k), k, split, item.video or item.name, True, str(item.label))

    def make(self, indices: list[int], engine: Engine | None) -> Iterator[Sample]:
        """These samples, made one by one; samples of one mask should come in a row, since they share its reading.

        engine: perturbs every sample's label map; None: the masks as they are.
        """
        maps, seed = self._inputs.maps, self._inputs.config.seed
        for position, group in groupby(indices, key=lambda k: self.masks[k]):
            mask = int(position)
            source = maps.load(mask)
            if engine is None:
                label_map, index_map, kept = self._fitted(source)
                yield from (Sample(k, mask, label_map, index_map, mask, [], kept) for k in group)
                continue
            scene = engine.scene(source)
            for k in group:
                made = engine.make(scene, mask, noise.perturbation_rng(seed, k), must_change=False)
                label_map, index_map, kept = self._fitted(made.label_map)
                yield Sample(k, mask, label_map, index_map, -1 - k, made.records, kept)

    def pilots(self, count: int) -> Iterator[Sample]:
        """`count` samples of the masks as they are, evenly over all of them: numbered from 0, but none of the run's."""
        maps = self._inputs.maps
        for k in range(count):
            mask = k * len(maps) // count
            label_map, index_map, kept = self._fitted(maps.load(mask))
            yield Sample(k, mask, label_map, index_map, mask, [], kept)

    def _fitted(self, source: np.ndarray) -> tuple[np.ndarray, np.ndarray, bool]:
        """A label map of ids at the image's size, the same as class indices of the model, and whether no class of it
        was lost on the way."""
        config, model = self._inputs.config, self._inputs.model
        hw = output_size(source.shape, config.size, model.size, bool(model.stages))
        label_map = to_size(source, hw, self._inputs.maps.space)
        return label_map, self._index_table[label_map], set(np.unique(source)) <= set(np.unique(label_map))

    @cached_property
    def _index_table(self) -> np.ndarray:
        """uint8: index in the model's classes by id; `IGNORE_INDEX` for what the model does not know."""
        model = self._inputs.model.space
        table = np.full(max(self._inputs.maps.space.max_id, model.max_id) + 1, IGNORE_INDEX, np.uint8)
        table[list(model.ids)] = np.arange(model.num_classes)
        return table
