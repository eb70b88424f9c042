"""What a folder given to `score` holds, and which synthetic image goes with which real frame."""

from __future__ import annotations

import filecmp
import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from surgaug.datasets.dataset import PairedFrames, open_pairs
from surgaug.datasets.item import Item, check_names
from surgaug.datasets.provenance import Origin, Provenance, read_origins
from surgaug.datasets.splits import numbers_of
from surgaug.datasets.survey import NO_LABEL, OTHER_SIZE, TWINS, UNUSABLE, problem_of, refuse_twins, without_faults
from surgaug.errors import DataError
from surgaug.io.images import is_image_file
from surgaug.io.manifest import is_there, part_paths, read_lines
from surgaug.io.output_folder import PREVIEW
from surgaug.labels.label_space import LabelSpace
from surgaug.runtime.feedback import Feedback
from surgaug.runtime.parallel import in_threads

IMAGE_FOLDERS = ("images", "imgs", "frames")
SETTINGS = ("model", "sampler", "steps", "guidance")


@dataclass(frozen=True)
class Trust:
    """The share of an image's labelled pixels that a judge trusts: of all, and by class id."""

    agreement: float
    by_class: dict[int, float]


@dataclass(frozen=True)
class Folder:
    """Images of one folder, in order of name; `frames` where they have labels, otherwise `no_labels` says why not.

    origins: of synthetic images, by name. positions: of each image's item in `frames`. settings: model, sampler, steps
    and guidance, where a manifest has one value of it for all images. left_out: of images that could not be used, why.
    trusts: by name, of images that a judge read as they were made. refused: how many it trusted too little to be here.
    """

    root: Path
    names: tuple[str, ...]
    images: tuple[Path, ...]
    labels: tuple[Path | None, ...]
    origins: dict[str, Origin] = field(default_factory=dict)
    frames: PairedFrames | None = None
    no_labels: str = ""
    positions: tuple[int, ...] = ()
    settings: dict[str, str | int | float] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    trusts: dict[str, Trust] = field(default_factory=dict)
    refused: int = 0

    def __len__(self) -> int:
        return len(self.images)

    def sources(self) -> list[str]:
        """What real label map each image goes back to, as far as manifests say; otherwise the image's own name."""
        return [self.origins[name].key if name in self.origins else name for name in self.names]

    def source_videos(self) -> set[str]:
        """The videos that the images come from, by manifests, names or layout; empty unless that of each is known."""
        of_frames = zip(self.names, self.videos(), strict=True)
        found = [self.origins[name].video if name in self.origins else video for name, video in of_frames]
        known = {video for video in found if video}
        return known if all(found) else set()

    def videos(self) -> list[str | None]:
        """The video of each frame; None where it is not known."""
        if self.frames is None:
            return [None] * len(self)
        return [self.frames.items[i].video for i in self.positions]

    def splits(self) -> list[str | None]:
        """The split of each frame; None where it has none."""
        if self.frames is None:
            return [None] * len(self)
        return [self.frames.items[i].split for i in self.positions]


@dataclass(frozen=True)
class Pairing:
    """`partner[i]` is the real frame of synthetic image i, -1 where it has none."""

    partner: np.ndarray
    by: str
    changed: int

    @property
    def count(self) -> int:
        return int((self.partner >= 0).sum())


def open_folder(root: Path, classes: str | LabelSpace, feedback: Feedback, leave_out_bad: bool = False) -> Folder:
    """Images, and labels where there are any: a data set, an output of `synthesize`, or just a folder of images.

    leave_out_bad: without files that cannot be read, and, of a data set, without images that have no label map, or one
    of another size.
    Raises:
        DataError: no such folder, no image in it, two images of one name, a manifest of which no line is a row.
    """
    if not root.is_dir():
        raise DataError(f"{root}: no such folder")
    try:
        frames = open_pairs(root, classes=classes, feedback=feedback)
    except DataError as reason:
        return _plain_folder(root, str(reason), feedback, leave_out_bad)
    if leave_out_bad:
        frames = without_faults(frames, feedback, need_images=True, kinds=(TWINS, NO_LABEL, UNUSABLE, OTHER_SIZE))
    else:
        refuse_twins(frames)
    positions = tuple(i for i, item in enumerate(frames.items) if item.image is not None)
    if not positions:
        return _plain_folder(root, f"{root}: labels without images", feedback, leave_out_bad)
    items = [frames.items[i] for i in positions]
    # A manifest names files; a layout may name its frames otherwise (nnU-Net: CASE_0000.png is the image of CASE).
    origins, trusts = read_origins(root), read_trusts(root)
    return Folder(
        root,
        tuple(item.name for item in items),
        tuple(item.image for item in items if item.image),
        tuple(item.label for item in items),
        {item.name: origins[item.image.name] for item in items if item.image and item.image.name in origins},
        frames,
        positions=positions,
        settings=read_settings(root),
        left_out=frames.left_out,
        trusts={item.name: trusts[item.image.name] for item in items if item.image and item.image.name in trusts},
    )


def admitted(folder: Folder, least: float) -> Folder:
    """`folder` without the images that a judge trusted less than `least`. DataError: no judge read them, or none is
    left."""
    if not folder.trusts:
        raise DataError(
            f"{folder.root}: --least-agreement needs images that a judge has read: no manifest here gives their "
            "agreement; synthesize them with --judge"
        )
    gone = {name for name, trust in folder.trusts.items() if trust.agreement < least}
    keep = [i for i, name in enumerate(folder.names) if name not in gone]
    if not keep:
        best = max(trust.agreement for trust in folder.trusts.values())
        raise DataError(f"{folder.root}: --least-agreement {least:g} leaves no image; the most trusted has {best:.2f}")
    return replace(_only(folder, keep), refused=len(folder) - len(keep))


def of_chosen_split(folder: Folder, split: str | None, feedback: Feedback) -> Folder:
    """The images of one split; with None all, and it is told where training frames are among them.

    DataError where there is none of that split.
    """
    splits = folder.splits()
    if split is None:
        trained = splits.count("train")
        if 0 < trained < sum(map(bool, splits)):
            feedback.warn(
                f"{folder.root}: {trained} of {len(folder)} frames are of the training split, which the model may "
                "have learnt from; --split val or --split test compares with the others alone"
            )
        return folder
    return _only(folder, numbers_of(split, splits, f"{folder.root}: no frame"))


def that_train(splits: Sequence[str | None]) -> list[int]:
    """The numbers of the frames that a model may have learnt from: with splits those of the training split alone."""
    own = [i for i, split in enumerate(splits) if split == "train"]
    return own or list(range(len(splits)))


def of_training(folder: Folder) -> Folder:
    """The frames of a folder of training frames that a model may have learnt from."""
    keep = that_train(folder.splits())
    return folder if len(keep) == len(folder) else _only(folder, keep)


def _only(folder: Folder, keep: Sequence[int]) -> Folder:
    """The images of those numbers."""
    names = {folder.names[i] for i in keep}
    gone = set(folder.names) - names
    out = replace(
        folder,
        names=tuple(folder.names[i] for i in keep),
        images=tuple(folder.images[i] for i in keep),
        labels=tuple(folder.labels[i] for i in keep),
        origins={name: origin for name, origin in folder.origins.items() if name in names},
        trusts={name: trust for name, trust in folder.trusts.items() if name in names},
    )
    if folder.frames is None:
        return out
    items = tuple(item for item in folder.frames.items if item.image is None or item.name not in gone)
    positions = tuple(i for i, item in enumerate(items) if item.image is not None)
    return replace(out, frames=replace(folder.frames, items=items), positions=positions)


def pair(synth: Folder, real: Folder) -> Pairing:
    """The real frame of each synthetic image: that of the same name, or that whose mask it was synthesized from.

    Images of a mask that was changed on the way show another scene than the frame: they are left out (and counted). So
    are those whose mask only shares its name with the frame's (`0.png` of another split), where both files are at hand.
    """
    frame_of = _frame_finder(real, Provenance(synth.root))
    partner = np.full(len(synth), -1, np.int64)
    told_by: set[str] = set()
    changed = 0
    for i, name in enumerate(synth.names):
        origin = synth.origins.get(name)
        match = frame_of(origin or Origin(name, ""))
        if match >= 0 and origin and origin.changed:
            changed += 1
        elif match >= 0:
            partner[i] = match
            told_by.add("source in the manifest" if origin else "name")
    return Pairing(partner, " and ".join(sorted(told_by)), changed)


def shown_frames(synth: Folder, real: Folder) -> list[set[str]]:
    """By synthetic image, the names of the real frames whose label maps are to be seen in its own, however changed: the
    one that it was made from, and those that lent it instruments."""
    frame_of = _frame_finder(real, Provenance(synth.root))
    origins = [synth.origins.get(name, Origin(name, "")) for name in synth.names]
    return [{real.names[i] for mask in origin.all() if (i := frame_of(mask)) >= 0} for origin in origins]


def _frame_finder(real: Folder, before: Provenance) -> Callable[[Origin], int]:
    """Finds the position of the real frame that has a label map, -1 where there is none.

    before: of the set whose manifest names the label maps.
    """
    by_name = {name: i for i, name in enumerate(real.names)}
    by_stem = {
        **_unique(label.stem if label else None for label in real.labels),
        **_unique(path.stem for path in real.images),
    }

    def frame_of(origin: Origin) -> int:
        keys = (origin.stem, origin.mask)
        match = next((found[key] for key in keys for found in (by_name, by_stem) if key in found), -1)
        return -1 if match >= 0 and _another_mask(before.place(origin.path), real.labels[match]) else match

    return frame_of


def read_settings(root: Path) -> dict[str, str | int | float]:
    """Of `SETTINGS`, those that all rows of a folder's manifest agree on and a report can hold; empty where there is
    none."""
    seen: dict[str, set] = {name: set() for name in SETTINGS}
    for path in part_paths(root):
        for line in read_lines(path):
            if line.row is not None:
                for name, values in seen.items():
                    values.add(line.row.get(name))
    agreed = {name: values.pop() for name, values in seen.items() if len(values) == 1}
    return {name: value for name, value in agreed.items() if value is not None and _is_finite(value)}


def read_trusts(root: Path) -> dict[str, Trust]:
    """What a judge said of the images of a folder, by file name, as its manifest has it; what is no number is passed
    over."""
    found = {}
    for path in part_paths(root):
        for line in read_lines(path):
            if line.row is not None and "image" in line.row and _is_finite(line.row.get("agreement", math.nan)):
                shares = line.row.get("agreement_by_class", {}).items()
                by_class = {int(i): share for i, share in shares if i.isdecimal() and _is_finite(share)}
                found[Path(line.row["image"]).name] = Trust(line.row["agreement"], by_class)
    return found


def _is_finite(value: object) -> bool:
    return not isinstance(value, float) or math.isfinite(value)


def _plain_folder(root: Path, no_labels: str, feedback: Feedback, leave_out_bad: bool) -> Folder:
    places = [root, *(root / name for name in IMAGE_FOLDERS)]
    for place in places:
        if place.is_dir() and (images := image_files(place)):
            break
    else:
        raise DataError(f"{root}: no image (looked in it and in {', '.join(IMAGE_FOLDERS)}; {no_labels})")
    left_out: tuple[str, ...] = ()
    if leave_out_bad:
        checked = dict(
            zip(images, in_threads(problem_of, images, feedback=feedback, title="checking images"), strict=True)
        )
        images, left_out = [p for p, why in checked.items() if not why], tuple(why for why in checked.values() if why)
        if left_out:
            feedback.warn(f"left out: {len(left_out)} of {len(checked)} images that cannot be read")
        if not images:
            raise DataError(left_out[0])
    twice = [name for name, n in Counter(path.stem for path in images).items() if n > 1]
    if twice:
        raise DataError(f"{place}: several images of one name: {', '.join(twice[:10])}")
    check_names(Item(path.stem, path, None) for path in images)
    names, origins, trusts = tuple(path.stem for path in images), read_origins(root), read_trusts(root)
    return Folder(
        root,
        names,
        tuple(images),
        (None,) * len(images),
        {path.stem: origins[path.name] for path in images if path.name in origins},
        None,
        no_labels,
        settings=read_settings(root),
        left_out=left_out,
        trusts={path.stem: trusts[path.name] for path in images if path.name in trusts},
    )


def image_files(folder: Path) -> list[Path]:
    """The image files directly in a folder, by name; a contact sheet `preview.png` is left out."""
    return sorted(path for path in folder.iterdir() if is_image_file(path) and path.name != PREVIEW)


def _unique(stems: Iterable[str | None]) -> dict[str, int]:
    """Position by stem, of the stems that occur once."""
    stems = list(stems)
    counts = Counter(stems)
    return {stem: i for i, stem in enumerate(stems) if stem is not None and counts[stem] == 1}


def _another_mask(source: str, label: Path | None) -> bool:
    """Whether the mask is at hand and holds something else than the frame's label file."""
    mask = Path(source)
    if label is None or not is_there(mask) or mask.resolve() == label.resolve():
        return False
    return not filecmp.cmp(mask, label, shallow=False)
