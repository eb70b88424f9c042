"""What the numbers in a folder's label files stand for before they are ids: palettes, bit depths, edges of soft masks.

A palette file's number may be its index or its grey, a sample of few or of 16 bits a number or a share of white; and
masks that were resized with interpolation, or saved lossily once, hold values that nobody drew. All of it is decided
from all of a folder's files, or refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, pairwise

import numpy as np

from surgaug.errors import DataError
from surgaug.io.images import Raw
from surgaug.labels.scan import Scan

WHITES = (255, 65535)
# The share of the pixels at edges whose value lies between those beside it: at most 0.005 in ten data sets of ids
# (0.035 in a single map), from 0.19 on in masks that were resized with interpolation or saved as JPEG.
_MOST_RAMPS = 0.15
DOUBTFUL_RAMPS = 0.08
_FEWEST_STEPS = 30
# In label maps most pixels lie within an area of one value; below this share they are noise, which has no edges.
_LEAST_FLAT = 0.3
# Classes drawn as visible greys are this far apart at least; values this near to one are traces of a lossy save.
_VISIBLE = 16
# Visible greys reach beyond this; below it, values with gaps between them are ids, some of thin classes (36 in CaDIS).
_SMALL_IDS = 48
# From this share of faint local extremes among the pixels at edges on, they are taken for traces of a lossy save.
_LOSSY_SPECKS = 0.02
_NEAR = 8
# The least share of black and white in a soft mask of two classes: a photograph has less.
_LEAST_ENDS = 0.6


@dataclass(frozen=True)
class ValueReading:
    """How stored numbers become values.

    greys: of palette files, the grey of the palette instead of the index. scaled: the bit depths whose samples are
    shares of white, and are brought to 8 bits.
    """

    greys: bool = False
    scaled: frozenset[int] = frozenset()

    def of_raw(self, raw: Raw) -> Raw:
        """`raw` with its values as they are meant."""
        if raw.palette is not None:
            return replace(raw, values=_greys(raw.palette)[raw.values], palette=None) if self.greys else raw
        if raw.color or raw.channels > 1 or raw.bits not in self.scaled:
            return raw
        return replace(raw, values=(raw.values.astype(np.int64) * 255 // _white(raw.bits)).astype(np.uint8))

    def of_scan(self, scan: Scan) -> Scan:
        """`scan` with its values as they are meant."""
        if scan.palette is not None:
            if not self.greys:
                return scan
            meant = {index: color & 255 for index, color in scan.palette.items()}
        elif not scan.color and scan.channels == 1 and scan.bits in self.scaled:
            meant = {v: v * 255 // _white(scan.bits) for v in scan.counts or ()}
        else:
            return scan
        counts = {meant[v]: n for v, n in (scan.counts or {}).items()}
        flat = {meant[v]: n for v, n in scan.flat.items()}
        if scan.palette is not None:  # indices need not be in the order of their greys
            return replace(scan, counts=counts, flat=flat, palette=None, steps=0, ramps=0, specks=0, plateaus={})
        return replace(scan, counts=counts, flat=flat)


AS_STORED = ValueReading()


def find_reading(scans: Sequence[Scan], known: set[int] | None) -> ValueReading:
    """How the numbers of scanned files are meant. known: the values that may occur, if these are known.

    Palettes that are grey throughout stand for their greys, unless only the indices are known values; others for their
    indices. Samples of few or 16 bits among files of 8 stand for themselves where only that is known, and for shares of
    white where that is known, or is what the other files hold.
    Raises DataError for samples that could be both.
    """
    greys = _palettes_are_grey(scans, known)
    seen = [ValueReading(greys).of_scan(s) for s in scans]
    return ValueReading(greys, _scaled_depths([s for s in seen if s.palette is None], known))


def refuse_contradicting_palettes(scans: Iterable[Scan]) -> None:
    """Raises DataError naming two files of which the palettes give an index two colours, or a colour two indices."""
    by_index: dict[int, tuple[int, Scan]] = {}
    by_color: dict[int, tuple[int, Scan]] = {}
    for scan in scans:
        for index, color in (scan.palette or {}).items():
            other_color, first = by_index.setdefault(index, (color, scan))
            other_index, second = by_color.setdefault(color, (index, scan))
            if other_color != color:
                raise DataError(
                    f"{first.path} and {scan.path}: palette index {index} is {color_text(other_color)} in the one and "
                    f"{color_text(color)} in the other, so that an index is no id; name classes and colours with "
                    "--classes FILE, or save the maps as single-channel ids"
                )
            one, two = _color_at(second, index), _color_at(scan, other_index)
            if other_index != index and one != color and two != color:
                raise DataError(
                    f"{second.path} and {scan.path}: the colour {color_text(color)} is palette index {other_index} in "
                    f"the one and {index} in the other, so that an index is no id; name classes and colours with "
                    "--classes FILE, or save the maps as single-channel ids"
                )


@dataclass(frozen=True)
class Texture:
    """How the values of grey label maps lie: as areas, or only along edges.

    pixels: by value. flat: those of them in the middle of 3x3 equal ones. steps, ramps, specks, plateaus: see
    `scan.Scan`.
    """

    pixels: dict[int, int]
    flat: dict[int, int]
    steps: int
    ramps: int
    specks: int
    plateaus: int

    @property
    def areas(self) -> list[int]:
        """The values that fill areas, sorted."""
        return sorted(v for v, n in self.pixels.items() if self.flat.get(v, 0) >= max(1, 0.1 * n))

    @property
    def edges(self) -> list[int]:
        """The other values, sorted."""
        return sorted(self.pixels.keys() - set(self.areas))

    @property
    def ramp_share(self) -> float:
        """Of pixels at edges, the share with a value between those beside them; 0 where there are too few to tell."""
        enough = sum(self.flat.values()) >= _LEAST_FLAT * sum(self.pixels.values())
        return self.ramps / self.steps if enough and not self.too_few_edges else 0.0

    @property
    def too_few_edges(self) -> bool:
        """Whether hardly any pixels lie at edges, so that it cannot be told whether these are soft."""
        return self.steps < _FEWEST_STEPS

    @property
    def is_soft(self) -> bool:
        """Whether there are values that nobody drew: at most edges, or, about visible greys, at any."""
        groups = self._groups
        if self.ramp_share >= _MOST_RAMPS:
            return True
        if len(groups) < 2 or any(b[0] - a[-1] < _VISIBLE for a, b in pairwise(groups)) or groups[-1][-1] < _SMALL_IDS:
            return False
        traces = self._traces
        return len(traces) > 1 or len([v for v in self.edges if all(v not in near for near in traces)]) >= 3

    @property
    def is_soft_two_class(self) -> bool:
        """Whether all areas are black or white (nearly), of values up to 255, and there are other values."""
        if any(_NEAR < v < 255 - _NEAR for v in self.flat) or not self.pixels.keys() - {0, 255}:
            return False
        ends = sum(n for v, n in self.pixels.items() if not _NEAR < v < 255 - _NEAR)
        if ends < _LEAST_ENDS * sum(self.pixels.values()):
            return False
        if self.plateaus and self.specks >= _LOSSY_SPECKS * self.steps:
            return False
        traces = set[int]().union(*self._traces) if len(self._traces) > 1 else set()
        main = [v for v in self.areas if v not in traces]
        dark, light = (sum(low <= v <= high for v in main) for low, high in ((0, _NEAR), (255 - _NEAR, 255)))
        return dark <= 1 and light <= 1 and min(self.pixels) <= _NEAR and 255 - _NEAR <= max(self.pixels) <= 255

    @property
    def _groups(self) -> list[list[int]]:
        """`areas`, black and white, neighbours together: a lossy save makes areas of 0 and of 1 from black."""
        groups: list[list[int]] = []
        for v in sorted({*self.areas, *({0, 255} & self.pixels.keys())}):
            if groups and v - groups[-1][-1] <= 2:
                groups[-1].append(v)
            else:
                groups.append([v])
        return groups

    @property
    def _traces(self) -> list[set[int]]:
        """Values that a lossy save may have left, for each group of areas that has any: those near the group, and those
        in it that fill small and few areas."""
        found = []
        for group in self._groups:
            most = max(group, key=self.pixels.__getitem__)
            small = {v for v in group if v != most and self._is_patchy(v) and self.pixels[v] < 0.02 * self.pixels[most]}
            found.append(small | {v for v in self.edges if 0 < abs(v - most) <= _NEAR})
        return [values for values in found if values]

    def _is_patchy(self, value: int) -> bool:
        """Whether a value lies in areas hardly larger than the blocks of a JPEG."""
        return self.flat.get(value, 0) < 0.6 * self.pixels[value]


def texture(scans: Iterable[Scan]) -> Texture:
    """The texture of all of these maps together; colour-coded ones are left out."""
    pixels: Counter[int] = Counter()
    flat: Counter[int] = Counter()
    steps = ramps = specks = plateaus = 0
    for scan in scans:
        if not scan.color:
            pixels.update(scan.counts or {})
            flat.update(scan.flat)
            steps, ramps, specks = steps + scan.steps, ramps + scan.ramps, specks + scan.specks
            plateaus += sum(scan.plateaus.values())
    return Texture(dict(pixels), dict(flat), steps, ramps, specks, plateaus)


def soft_two_class(scans: Sequence[Scan]) -> bool:
    """Whether these are masks of two classes, 0 and 255, with other values at their edges only.

    A file of small values alone (0 and 1, say) is none: there they are ids.
    """
    grey = not any(s.color or s.palette is not None for s in scans)
    return grey and texture(scans).is_soft_two_class and not any(0 < max(s.counts or (0,)) <= _NEAR for s in scans)


def black_and_white(scans: Iterable[Scan]) -> bool:
    """Whether palette files are among these, and show black and white alone: masks as one sees them, in which the index
    of white may be 0 as well as 1."""
    held = [set(s.palette.values()) for s in scans if s.palette is not None]
    return bool(held) and set().union(*held) <= {0, 0xFFFFFF}


def visible_greys(values: Iterable[int]) -> bool:
    """Whether values are far enough apart to be greys for the eye, at least two."""
    ordered = sorted(values)
    return len(ordered) > 1 and all(b - a >= _VISIBLE for a, b in pairwise(ordered))


def file_with_most(scans: Iterable[Scan], values: Iterable[int]) -> tuple[Scan, int]:
    """The file that holds the most pixels of `values`, and their number."""
    asked = set(values)
    held = [(s, sum(n for v, n in (s.counts or {}).items() if v in asked)) for s in scans]
    return max(held, key=lambda item: item[1])


def color_number(color: tuple[int, int, int]) -> int:
    """A colour as 0xRRGGBB."""
    return color[0] << 16 | color[1] << 8 | color[2]


def color_text(packed: int) -> str:
    """A colour 0xRRGGBB for people."""
    return f"({packed >> 16}, {packed >> 8 & 255}, {packed & 255})"


def _palettes_are_grey(scans: Sequence[Scan], known: set[int] | None) -> bool:
    held = [s.palette for s in scans if s.palette is not None]
    if not held or not all(s.grey_palette for s in scans if s.palette is not None):
        return False
    if known is None:
        return True
    indices = {i for palette in held for i in palette}
    greys = {color & 255 for palette in held for color in palette.values()}
    return greys <= known or not indices <= known


def _scaled_depths(scans: Sequence[Scan], known: set[int] | None) -> frozenset[int]:
    by_depth: dict[int, set[int]] = {}
    for s in scans:
        if not s.color and not s.lossy:
            by_depth.setdefault(s.bits if s.channels == 1 else 8, set()).update(s.counts or ())
    if not by_depth.get(8, set()) - {0}:
        _refuse_several_depths(scans, by_depth)
        return frozenset()
    scaled = set()
    for bits, values in by_depth.items():
        drawn = values - {0}
        if bits in (8, 32) or not drawn:
            continue
        shares = _shares_of_white(drawn, bits)
        if shares is None:
            continue
        numbers_fit, shares_fit = drawn <= (known or set()), shares <= (known or set())
        held = (
            shares <= by_depth[8] and not drawn <= by_depth[8]
        )  # by the other files: 0 and 255, say, where ids are 0, 1
        if numbers_fit and not shares_fit and not held:
            continue
        if (shares_fit and not numbers_fit) or (held and not shares_fit):
            scaled.add(bits)
        else:
            first = next(s for s in scans if s.bits == bits and s.channels == 1 and (s.counts or {}).keys() - {0})
            raise DataError(
                f"{first.path}: {bits} bits a pixel among label maps of 8, so that its {_listed(drawn)} may also be "
                f"{_listed(shares)} of 255; save it with 8 bits like the others"
            )
    return frozenset(scaled)


def _refuse_several_depths(scans: Sequence[Scan], by_depth: dict[int, set[int]]) -> None:
    drawn = {bits: values - {0} for bits, values in by_depth.items() if values - {0} and bits < 32}
    for one, two in combinations(sorted(drawn), 2):
        first, second = (next(s for s in scans if s.bits == bits and s.counts) for bits in (one, two))
        raise DataError(
            f"{first.path} and {second.path}: {one} and {two} bits a pixel, so that a number may mean two greys; save "
            "all label maps with 8 bits"
        )


def _color_at(scan: Scan, index: int) -> int | None:
    return scan.full_palette[index] if index < len(scan.full_palette) else None


def _greys(palette: np.ndarray) -> np.ndarray:
    table = np.zeros(256, np.uint8)
    table[: len(palette)] = palette & 255
    return table


def _shares_of_white(values: Iterable[int], bits: int) -> set[int] | None:
    """Samples brought to 8 bits; None unless these are whole, and greys that one can see."""
    shares = {v * 255 // _white(bits) for v in values}
    whole = all(v * 255 % _white(bits) == 0 for v in values)
    return shares if whole and min(shares) >= _VISIBLE else None


def _white(bits: int) -> int:
    return 2**bits - 1


def _listed(values: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(values)[:6]))
