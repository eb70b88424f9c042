"""How close new label maps are to real maps of operations that they were not made from, and how fast they are made.

    python benchmarks/augment.py [--data NAME=DIR ...] [--phantom N] [--seeds N] [--maps N] [--speed DIR]

Of each set of label maps half of the operations are held out. From the others new maps are made: by `surgaug`'s engine
with its usual mix, and with `--plausibility 0.05` besides; by a whole-map affine and elastic warp; and by pasting
instruments at uniformly random places.
Printed beside what real maps of the other operations reach, mean and standard deviation over seeds, each of which holds
out other operations. All ways see the same operations, so that they are also compared seed by seed: mean difference to
the warp, and in how many seeds it is smaller. The figures:

- surprise: mean over new maps, in nats, under the model that the engine's plausibility is (presence of classes and of
  pairs, contact, area, place and shape), fitted to the held-out maps alone;
- MMD: squared maximum mean discrepancy, cubic polynomial kernel, unbiased (as KID has it), between blurred one-hot maps
  (9x16 cells), times 1000;
- Frechet: distance of normal distributions fitted to the first principal components of the same cells;
- to real: mean distance of a new map to the nearest held-out map (is what is made like what there is?);
- from real: mean distance of a held-out map to the nearest new map (is what there is among what is made?);
- impossible: share of maps with an instrument that comes from nowhere (neither from the border nor from below a hand or
  another instrument), a pupil that lies against something that is neither iris nor on top of it, or a class of the eye
  in several large pieces with nothing between them.

Without a floor of plausibility the engine rejects by none of these. It shares with "impossible" the aim, not the code:
its own constraints look at objects before and after an operation, this one at the finished map alone. With a floor it
rejects by the surprise under the maps that it learns from, which are of other operations; the cells it never sees.

The strengths of the usual mix were chosen with seeds 10 to 17 (`--first 10`); seeds 0 and up are for reporting.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from scipy.linalg import sqrtm

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from surgaug.datasets.dataset import LabelMaps, open_masks
from surgaug.labels.builtin_spaces import load_space
from surgaug.labels.class_roles import roles
from surgaug.labels.label_space import LabelSpace
from surgaug.labels.resize import resize_label_map
from surgaug.perturb.engine import Engine, build, sample_rng
from surgaug.perturb.prior.map_features import describe
from surgaug.perturb.prior.plausibility import RealMaps, real_maps
from surgaug.perturb.recipe import Recipe
from surgaug.perturb.scene.find_objects import find_objects
from surgaug.perturb.scene.objects import SceneObject
from surgaug.perturb.worker import encode
from surgaug.phantom import render
from surgaug.runtime.feedback import Silent
from surgaug.runtime.parallel import in_processes

CELLS = (16, 9)
COMPONENTS = 16
WIDTH = 320  # of the maps that are compared; the speed is measured at their own size


class Given:
    """Label maps in memory, with as much of `LabelMaps` as the engine asks for."""

    def __init__(self, maps: list[np.ndarray], names: list[str], space: LabelSpace):
        self.maps, self.space = maps, space
        self.items = [type("Item", (), {"name": name}) for name in names]

    def __len__(self) -> int:
        return len(self.maps)

    def load(self, i: int) -> np.ndarray:
        return self.maps[i]


def engine(real: Given, n: int, seed: int, floor: float = 0.0) -> Iterator[np.ndarray]:
    made = build(Engine(real.space, Recipe(plausibility=floor)), real, seed, 1, Silent())
    scenes = [made.scene(label_map) for label_map in real.maps]
    for k in range(n):
        yield made.make(scenes[k % len(scenes)], k % len(scenes), sample_rng(seed, k)).label_map


def warp(real: Given, n: int, seed: int) -> Iterator[np.ndarray]:
    """Rotation up to 15 degrees, scale 0.85 to 1.15, shift up to 8 %, elastic field of 1 % of the diagonal, mirror."""
    for k in range(n):
        rng, label_map = sample_rng(seed, k), real.maps[k % len(real)]
        h, w = label_map.shape
        matrix = cv2.getRotationMatrix2D((w / 2, h / 2), rng.uniform(-15, 15), rng.uniform(0.85, 1.15))
        matrix[:, 2] += rng.uniform(-0.08, 0.08, 2) * (w, h)
        field = cv2.resize(rng.standard_normal((6, 8, 2)).astype(np.float32), (w, h), interpolation=cv2.INTER_CUBIC)
        field *= np.float32(0.01 * np.hypot(h, w))
        x, y = np.meshgrid(np.arange(w, dtype=np.float32), np.arange(h, dtype=np.float32))
        out = cv2.warpAffine(label_map, matrix, (w, h), flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_REFLECT_101)
        out = cv2.remap(out, x + field[..., 0], y + field[..., 1], cv2.INTER_NEAREST, borderMode=cv2.BORDER_REFLECT_101)
        yield np.ascontiguousarray(out[:, ::-1]) if rng.random() < 0.5 else out


def paste(real: Given, n: int, seed: int) -> Iterator[np.ndarray]:
    """One instrument cut from another map, turned by any angle, pasted at a uniformly random place."""
    known = roles(real.space)
    bank = [obj for label_map in real.maps for obj in find_objects(label_map, known, real.space.ignore)]
    for k in range(n):
        rng, out = sample_rng(seed, k), real.maps[k % len(real)].copy()
        obj = bank[int(rng.integers(len(bank)))]
        y0, x0, y1, x1 = obj.box
        middle = ((x1 - x0) / 2, (y1 - y0) / 2)
        matrix = cv2.getRotationMatrix2D(middle, rng.uniform(0, 360), 1.0)
        matrix[:, 2] += rng.uniform(0, 1, 2) * out.shape[::-1] - middle
        size = out.shape[::-1]
        mask = cv2.warpAffine(obj.mask.view(np.uint8), matrix, size, flags=cv2.INTER_NEAREST).view(bool)
        out[mask] = cv2.warpAffine(obj.ids, matrix, size, flags=cv2.INTER_NEAREST)[mask]
        yield out


WAYS: dict[str, Callable[[Given, int, int], Iterator[np.ndarray]]] = {
    "surgaug": engine,
    "surgaug, plausibility": partial(engine, floor=0.05),
    "affine + elastic": warp,
    "uniform pasting": paste,
}


def cells(label_map: np.ndarray, space: LabelSpace) -> np.ndarray:
    """The share of each class in each cell, float32 [9 * 16 * K]."""
    index = space.to_index(label_map)
    shares = [
        cv2.resize((index == k).astype(np.float32), CELLS, interpolation=cv2.INTER_AREA)
        for k in range(space.num_classes)
    ]
    return np.sqrt(np.stack(shares)).ravel()  # the root, so that thin instruments count beside wide tissue


def mmd(a: np.ndarray, b: np.ndarray) -> float:
    """Unbiased estimate with the kernel (x.y / scale + 1)^3."""
    scale = float((np.concatenate([a, b]) ** 2).sum(1).mean())
    kernel = lambda x, y: (x @ y.T / scale + 1) ** 3  # noqa: E731
    aa, bb = kernel(a, a), kernel(b, b)
    within = [(k.sum() - np.trace(k)) / (len(k) * (len(k) - 1)) for k in (aa, bb)]
    return 1000 * float(sum(within) - 2 * kernel(a, b).mean())


def frechet(a: np.ndarray, b: np.ndarray) -> float:
    """In the principal components of `b`, as many as it bears."""
    mean = b.mean(0)
    axes = np.linalg.svd(b - mean, full_matrices=False)[2][: min(COMPONENTS, len(b) // 3)]
    a, b = (a - mean) @ axes.T, (b - mean) @ axes.T
    ca, cb = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = sqrtm(ca @ cb).real
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(ca + cb - 2 * root))


def nearest(a: np.ndarray, b: np.ndarray) -> float:
    """Mean distance of a row of `a` to the nearest of `b`."""
    squared = (a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * a @ b.T
    return float(np.sqrt(np.maximum(squared, 0)).min(1).mean())


def surprise(made: list[np.ndarray], real: RealMaps) -> float:
    return float(np.mean([real.surprise(describe(label_map, real.space)).total for label_map in made]))


def impossible(label_map: np.ndarray, space: LabelSpace) -> bool:
    return _floats(label_map, space) or _pupil_outside(label_map, space) or _eye_in_pieces(label_map, space)


def _floats(label_map: np.ndarray, space: LabelSpace) -> bool:
    known = roles(space)
    depth = np.zeros(256, np.int64)
    for c in space.classes:
        depth[c.id] = c.depth
    for obj in find_objects(label_map, known, space.ignore):
        if not obj.entries and obj.area > 0.0005 * label_map.size and not _held(label_map, obj, depth):
            return True
    return False


def _held(label_map: np.ndarray, obj: SceneObject, depth: np.ndarray) -> bool:
    mask = np.zeros(label_map.shape, np.uint8)
    y0, x0, y1, x1 = obj.box
    mask[y0:y1, x0:x1] = obj.mask
    ring = (cv2.dilate(mask, np.ones((7, 7), np.uint8)) > 0) & (mask == 0)
    tools = depth >= min(depth[i] for i in obj.class_ids)
    tools[list(obj.class_ids)] = False
    return bool(tools[label_map[ring]].any())


def _pupil_outside(label_map: np.ndarray, space: LabelSpace) -> bool:
    """More than a tenth of the pupil's outline lies against something that is neither iris nor above the eye."""
    known = roles(space)
    if not known.pupil:
        return False
    pupil = np.isin(label_map, known.pupil).view(np.uint8)
    ring = (cv2.dilate(pupil, np.ones((3, 3), np.uint8)) > 0) & (pupil == 0)
    inner = {i for level in known.discs[:-1] for i in level} | set(known.iris)
    if not known.iris:  # without an iris class the pupil lies in the outermost disc
        inner |= set(known.discs[-1])
    deepest = max(space.by_id(i).depth for level in known.discs for i in level)
    fine = [c.id for c in space.classes if c.id in inner or (c.depth > deepest)]
    beside = label_map[ring]
    return len(beside) > 0 and float(np.mean(~np.isin(beside, fine))) > 0.1


def _eye_in_pieces(label_map: np.ndarray, space: LabelSpace) -> bool:
    """The disc of pupil, or of iris with it, is in two pieces each above a tenth of it, instruments counted in."""
    known = roles(space)
    tools = [c.id for c in space.classes if c.kind == "instrument" or c.depth > 2]
    for level in {*known.pupil}, {*known.pupil, *known.iris}:
        own = np.isin(label_map, list(level))
        if not level or not own.any():
            continue
        count, parts = cv2.connectedComponents(np.isin(label_map, [*level, *tools]).view(np.uint8))
        sizes = np.bincount(parts[own], minlength=count)
        if np.sort(sizes)[-2:][0] > 0.1 * own.sum() and count > 1 and (sizes > 0.1 * own.sum()).sum() > 1:
            return True
    return False


def small(maps: LabelMaps, i: int) -> np.ndarray:
    label_map = maps.load(i)
    return resize_label_map(label_map, (round(WIDTH * label_map.shape[0] / label_map.shape[1]), WIDTH), maps.space)


def operations(maps: LabelMaps) -> list[str]:
    return [item.video or item.name for item in maps.items]


def compare(name: str, label_maps: list[np.ndarray], videos: list[str], space: LabelSpace, options) -> None:
    """Print the table of one set of maps."""
    found: dict[str, list[tuple[float, ...]]] = {}
    distinct = sorted(set(videos))
    for seed in range(options.first, options.first + options.seeds):
        held = set(np.random.default_rng(seed).permutation(distinct)[: len(distinct) // 2].tolist())
        inside = [i for i, video in enumerate(videos) if video not in held]
        out = [label_maps[i] for i, video in enumerate(videos) if video in held]
        target = np.stack([cells(m, space) for m in out])
        # Mirror images count as real: every way but the pasting mirrors.
        unseen = real_maps({i: describe(m, space) for i, m in enumerate(out)}, space, mirrors=True)
        given = Given([label_maps[i] for i in inside], [str(i) for i in inside], space)
        sets = {"real, other operations": given.maps}
        sets |= {way: list(make(given, options.maps, seed)) for way, make in WAYS.items()}
        for way, made in sets.items():
            described = np.stack([cells(m, space) for m in made])
            bad = float(np.mean([impossible(m, space) for m in made]))
            distances = (mmd, frechet, nearest, lambda new, real: nearest(real, new))
            apart = [distance(described, target) for distance in distances]
            found.setdefault(way, []).append((surprise(made, unseen), *apart, 100 * bad))
    print(
        f"\n{name}: {len(label_maps)} maps of {len(distinct)} operations, half of them held out, {options.seeds} seeds"
    )
    columns = ("surprise", "MMD x1000", "Frechet", "to real", "from real", "impossible %")
    print(f"{'':24}" + "".join(f"{name:>18}" for name in columns), flush=True)
    for way, rows in found.items():
        mean, spread = np.mean(rows, 0), np.std(rows, 0)
        print(f"{way:24}" + "".join(f"{m:10.2f} ±{s:6.2f}" for m, s in zip(mean, spread, strict=True)))
    print("less the warp (standard error), and seeds in which it is smaller", flush=True)
    warped = np.array(found["affine + elastic"])
    for way in WAYS:
        less = np.array(found[way]) - warped
        error = less.std(0, ddof=1) / len(less) ** 0.5 if len(less) > 1 else np.full(len(less[0]), np.nan)
        told = [f"{m:8.2f} ±{e:5.2f} {k:2}" for m, e, k in zip(less.mean(0), error, (less < 0).sum(0), strict=True)]
        print(f"{way:24}" + "".join(f"{text:>18}" for text in told))


def speed(folder: Path, options) -> None:
    """Maps a second of CPU time of one core, read, made and encoded; and by wall clock with more workers."""
    maps = open_masks(folder)
    made = build(Engine(maps.space, Recipe()), maps, 0, 1, Silent())
    tasks = [(made, maps.load(i), i, tuple(range(i * 16, i * 16 + 16))) for i in range(min(len(maps), 24))]
    for task in tasks[:2]:
        make_and_encode(None, task)
    passes = []
    for _ in range(3):
        start = time.process_time()
        n = sum(make_and_encode(None, task) for task in tasks)
        passes.append(n / (time.process_time() - start))
    h, w = tasks[0][1].shape
    print(f"\nspeed at {h}x{w}, usual mix, PNG encoding and plausibility included")
    print(f"one core: {max(passes):.0f} maps/s of CPU time, the best of {', '.join(f'{p:.0f}' for p in passes)}")
    for workers in options.workers:
        start = time.perf_counter()
        n = sum(in_processes(make_and_encode, None, tasks * 2, workers))
        print(f"{workers} workers: {n / (time.perf_counter() - start):.0f} maps/s by the clock, start included")


def make_and_encode(_: None, task: tuple[Engine, np.ndarray, int, tuple[int, ...]]) -> int:
    made, label_map, mask, samples = task
    scene = made.scene(label_map)
    for k in samples:
        encode(made.make(scene, mask, sample_rng(0, k)).label_map)
    return len(samples)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", action="append", default=[], metavar="NAME=DIR", help="label maps; may be repeated")
    parser.add_argument("--phantom", type=int, default=0, help="compare on so many phantom maps")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--every", type=int, default=1, help="of each set, use every so many-th map")
    parser.add_argument("--maps", type=int, default=120, help="new maps of each way and seed")
    parser.add_argument("--speed", type=Path, help="folder of label maps to measure the speed on")
    parser.add_argument("--workers", type=int, nargs="*", default=[1, os.cpu_count() or 1])
    options = parser.parse_args()
    cv2.setNumThreads(1)
    for entry in options.data:
        name, _, folder = entry.partition("=")
        maps = open_masks(Path(folder))
        used = range(0, len(maps), options.every)
        videos = operations(maps)
        compare(name, [small(maps, i) for i in used], [videos[i] for i in used], maps.space, options)
    if options.phantom:
        videos = [1 + i % 8 for i in range(options.phantom)]
        rendered = [render(i, (180, WIDTH), video=video)[1] for i, video in enumerate(videos)]
        compare("phantom", rendered, [f"video {v}" for v in videos], load_space("cadis"), options)
    if options.speed:
        speed(options.speed, options)


if __name__ == "__main__":
    main()
