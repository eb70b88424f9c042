"""What codecs share whose label maps are made from something else than one image of ids (polygons, several files)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from surgaug.errors import DataError
from surgaug.io.images import Raw
from surgaug.labels.label_space import LabelSpace
from surgaug.labels.scan import Scan, count_values


@dataclass(frozen=True)
class DrawnCodec:
    """Makes label maps of `space`; what it makes always is of the space, so that a scan has nothing left to refuse."""

    space: LabelSpace
    encoding: str = "drawn"
    remapped: str | None = None

    def decode(self, path: Path) -> np.ndarray:
        """Ids [H, W], of `dtype`. Raises DataError for what cannot be read, or is no class of the space."""
        raise NotImplementedError

    @property
    def dtype(self) -> type:
        return np.uint8 if self.space.max_id < 256 else np.uint16

    def scan(self, path: Path) -> Scan:
        """The scan of the map made; a problem is recorded, not raised."""
        try:
            ids = self.decode(path)
        except DataError as error:
            return Scan(path, problem=str(error))
        return Scan(path, ids.shape, count_values(Raw(ids, color=False, lossy=False)))

    def count_ids(self, scan: Scan) -> tuple[dict[int, int], dict[int, int]]:
        """As `codecs.Codec.count_ids`."""
        return dict(scan.counts or {}), {}

    def explain(self, unknown: dict[int, int], color: bool = False) -> str:
        """As `codecs.Codec.explain`; never needed."""
        raise AssertionError(unknown)

    def ambiguous_pixels(self, scans: Iterable[Scan]) -> tuple[int, int]:
        """As `codecs.Codec.ambiguous_pixels`: none."""
        return 0, 0
