"""Which files of a folder belong together: by name, never by order."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from surgaug.datasets.item import Item
from surgaug.errors import DataError
from surgaug.io.images import SUFFIXES, is_broken_link, is_image_file, is_label_file

IMAGE_FOLDERS = ("images", "image", "imgs", "img", "frames", "jpegimages")
LABEL_FOLDERS = ("labels", "label", "masks", "mask", "gt", "segmentationclass", "annotations")
# Other names for them, without spaces and lines; they count where none of the usual names is there.
_OTHER_NAMES = {
    IMAGE_FOLDERS: ("rgb", "original", "originals", "rawimages", "photos"),
    LABEL_FOLDERS: (
        "annotation", "groundtruth", "groundtruths", "gts", "labelmaps", "msk", "msks", "seg", "segmentation",
        "segmentations", "segmentationmasks",
    ),
}  # fmt: skip
SPLIT_FOLDERS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}
# What may stand behind such a name: train2017, training_set, test data.
_BEHIND = re.compile(r"[\s_-]?(?:(?:19|20)\d\d|set|data|split)$")
Pair = tuple[str, Path | None, Path | None]
Twins = dict[Path, list[Path]]  # files of one stem, by the first of them
_SEPARATORS = "_-. "
_MOST_ENDINGS = 12


def natural(text: str) -> list[tuple[int, str]]:
    """A sort key in which 2 comes before 10."""
    return [(int(p), "") if p.isdecimal() else (-1, p) for p in re.split(r"(\d+)", text)]


def _only_boxes(folder: Path) -> bool:
    return all(file.suffix.lower() == ".xml" for file in folder.iterdir())


def find_folder(root: Path, names: tuple[str, ...]) -> Path | None:
    """The one subfolder of `root` that goes by one of `names` (any case, with a year, "set" or the like behind or not);
    None if there is none. DataError if there are several."""
    folders = sorted(p for p in root.iterdir() if p.is_dir())
    found = [p for p in folders if p.name.lower() in names]
    if not found:
        found = [p for p in folders if re.sub(r"[\s_-]", "", p.name.lower()) in _OTHER_NAMES.get(names, ())]
    if not found:
        found = [p for p in folders if _BEHIND.sub("", p.name.lower()) in names]
    if len(found) > 1:  # Pascal VOC's Annotations hold boxes
        found = [p for p in found if p.name.lower() != "annotations" or not _only_boxes(p)] or found
    if len(found) > 1:
        raise DataError(f"{root}: {' and '.join(p.name for p in found)} both stand there; keep one, or name it")
    return found[0] if found else None


def split_of(name: str) -> str | None:
    """The split that a folder or a subset of that name is, with a year, "set" or the like behind or not."""
    plain = _BEHIND.sub("", name.lower())
    return next((split for split, names in SPLIT_FOLDERS.items() if plain in names), None)


def split_among(names: Iterable[str]) -> str | None:
    """The split of the first of these folders or files that is called as one, or has one among its words
    (instrument_5_8_testing)."""
    words = (word for name in names for word in (name, *re.split(r"[^a-z]+", name.lower())))
    return next(filter(None, map(split_of, words)), None)


def is_telling(name: str) -> bool:
    """Whether a folder of that name is one of images, of label maps or of a split."""
    plain, joined = _BEHIND.sub("", name.lower()), re.sub(r"[\s_-]", "", name.lower())
    kinds = (IMAGE_FOLDERS, LABEL_FOLDERS)
    return split_of(name) is not None or any(plain in names or joined in _OTHER_NAMES[names] for names in kinds)


def files_by_stem(
    folder: Path, accept: Callable[[Path], bool] = is_image_file, twins: Twins | None = None
) -> dict[str, Path]:
    """The files directly in `folder`, by stem, in natural order; hidden files and other kinds are passed over.

    Stems are compared as people read them: an umlaut of one sign is that of two (NFC). twins: takes files of one stem,
    which are refused without it.
    Raises DataError: no such folder, two files of one stem (both are named), no file of the kind.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir(), key=lambda p: natural(p.name)):
        if accept(path) and (path.is_file() or is_broken_link(path)):
            _add(found, unicodedata.normalize("NFC", path.stem), path, twins)
    if not found:
        raise DataError(f"{folder}: {_what_instead(folder)} ({', '.join(s[1:] for s in SUFFIXES)})")
    return found


def files_below(
    folder: Path, accept: Callable[[Path], bool] = is_image_file, twins: Twins | None = None
) -> dict[str, Path]:
    """The files of `folder` and of the folders in it, by their path within it without suffix (case_1/0007).

    twins, and DataError: as with `files_by_stem`.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder")
    found: dict[str, Path] = {}
    for path in sorted(_walk(folder), key=lambda p: natural(p.as_posix())):
        if accept(path):
            _add(found, unicodedata.normalize("NFC", path.relative_to(folder).with_suffix("").as_posix()), path, twins)
    if not found:
        raise DataError(f"{folder}: {_what_instead(folder)} ({', '.join(s[1:] for s in SUFFIXES)})")
    return found


def _walk(folder: Path) -> Iterable[Path]:
    seen = {folder.resolve()}  # links are followed, and one may lead back
    for where, folders, files in os.walk(folder, followlinks=True):
        inner = {name: (Path(where) / name).resolve() for name in sorted(folders)}
        folders[:] = [n for n, real in inner.items() if not n.startswith((".", "@", "__")) and real not in seen]
        seen.update(inner[name] for name in folders)
        yield from (Path(where) / name for name in files)


def _add(found: dict[str, Path], key: str, path: Path, twins: Twins | None) -> None:
    first = found.setdefault(key, path)
    if first is path:
        return
    if twins is None:
        raise DataError(two_of_one_stem([first, path]))
    twins.setdefault(first, [first]).append(path)


def two_of_one_stem(twins: Sequence[Path]) -> str:
    """What is wrong with files of one stem."""
    others = " and ".join(path.name for path in twins[1:])
    return f"{twins[0]} and {others}: {'two' if len(twins) == 2 else len(twins)} files of one stem; keep one of them"


def pair(images: Mapping[str, Path], labels: Mapping[str, Path]) -> list[Pair]:
    """(name, image, label) by stem, in natural order; None for a missing one.

    Where more pairs come of it, an ending that the files of one side have in common, or each side one of its own, is
    left out of account (NAME with NAME_mask, NAME_0000 with NAME, NAME_leftImg8bit with NAME_gtFine_labelIds); files
    without the ending keep their stem. Where no stem fits but for capitals, leading zeros or a common beginning (img_7
    with mask_7), and every file then has its partner, these are left out of account. The name is what is left.
    Raises DataError where two endings fit the same images, so that it is open which files are the label maps.
    """
    by_image, by_label = {stem: stem for stem in images}, {stem: stem for stem in labels}
    same = len(images.keys() & labels.keys())
    if same < min(len(images), len(labels)):
        if found := _by_endings(images, labels, same):
            by_image, by_label = found
        elif not same and (partners := _by_likeness(images, labels)):
            by_label = partners
    names = sorted(by_image.keys() | by_label.keys(), key=natural)
    return [(name, images.get(by_image.get(name, "")), labels.get(by_label.get(name, ""))) for name in names]


def pair_folders(images: Path | None, labels: Path | None, twins: Twins | None = None) -> list[Pair]:
    """`pair` over the files of two folders, either of which may be missing (None). twins: as in `files_by_stem`."""
    by_image = files_by_stem(images, twins=twins) if images else {}
    return pair(by_image, files_by_stem(labels, is_label_file, twins) if labels else {})


def items_of_folders(images: Path | None, labels: Path | None, split: str | None = None) -> list[Item]:
    """The items of two folders, either of which may be missing (None): of the files in them or, where the images lie in
    folders within, of all files below; each of these folders is a video then, and of a split if its name says so. An
    item of which a file has twins has neither image nor label.

    Raises DataError as `files_by_stem` and `pair` do, except for files of one stem.
    """
    twins: Twins = {}
    direct = images is None or not images.is_dir() or any(is_image_file(p) and p.is_file() for p in images.iterdir())
    if images is None or labels is None or direct:
        return items_of_pairs(pair_folders(images, labels, twins), twins, split=split)
    pairs = pair(files_below(images, twins=twins), files_below(labels, is_label_file, twins))
    stems = Counter(PurePosixPath(name).name for name, _, _ in pairs)
    items = []
    for name, image, label in pairs:
        folder, stem = PurePosixPath(name).parent, PurePosixPath(name).name
        plain = stem if stems[stem] == 1 else name.replace("/", "_")
        own = split or split_among(folder.parts)
        items += items_of_pairs([(plain, image, label)], twins, "_".join(folder.parts) or None, own)
    return items


def items_of_labels(folder: Path) -> list[Item]:
    """The items of a folder of label maps alone; see `items_of_folders`."""
    return items_of_folders(None, folder)


def items_of_pairs(
    pairs: Iterable[Pair], twins: Twins, video: str | None = None, split: str | None = None
) -> list[Item]:
    """The items of pairs. One of which a file has twins has neither image nor label: it is open which file is meant."""
    items = []
    for name, image, label in pairs:
        doubled = tuple(twin for path in (image, label) if path for twin in twins.get(path, ()))
        items.append(Item(name, *((None, None) if doubled else (image, label)), video, split, doubled))
    return items


def items_of_split(items: Sequence[Item], split: str | None, none: str) -> list[Item]:
    """The items of a split, or all. Where a name occurs in several splits, every item's split goes before its name.

    none: what DataError says where there is no item.
    """
    if len({item.name for item in items}) < len(items):
        items = [replace(item, name=f"{item.split}_{item.name}" if item.split else item.name) for item in items]
    chosen = [item for item in items if split in (None, item.split)]
    if not chosen:
        raise DataError(none)
    return chosen


def holds_files(folder: Path | None) -> bool:
    """Whether files lie directly in a folder, or image files in the folders within that are not named by a split."""
    if folder is None:
        return False
    inside = [p for p in folder.iterdir() if not p.name.startswith(".")]
    inner = [p for p in inside if p.is_dir()]
    if any(p.is_file() for p in inside) or any(split_of(p.name) for p in inner):
        return any(p.is_file() for p in inside)
    return any(is_image_file(path) for p in inner for path in _walk(p))


def refuse_shared_images(items: Iterable[Item], cure: str) -> None:
    """Raises DataError, with `cure`, where one image is that of several items: entries whose folders are not here, say,
    and that are called alike."""
    by_image: dict[Path, Item] = {}
    for item in items:
        if item.image and (other := by_image.setdefault(item.image, item)) is not item:
            raise DataError(f"{item.image}: could be the image of two entries, {other.name} and {item.name}; {cure}")


def not_named(items: Iterable[Item]) -> list[Path]:
    """Image files that lie beside those of the items and belong to none of them."""
    named = {path for item in items for path in (item.image, item.label) if path is not None}
    folders = sorted({path.parent for item in items if (path := item.image) is not None})
    return [p for folder in folders for p in sorted(folder.iterdir()) if is_image_file(p) and p not in named]


def _by_endings(
    images: Mapping[str, Path], labels: Mapping[str, Path], same: int
) -> tuple[dict[str, str], dict[str, str]] | None:
    """The stems of images and of labels, each by what is left of it without an ending: the two endings are those that
    make most pairs. None unless they make more than `same` pairs, and more than half of those possible. An ending must
    be that of most files on its side, since a part of a name may tell frames apart (x_left is not x_right)."""
    tried = []
    image_endings, label_endings = _endings(images), _endings(labels)
    of_images = {ending: _without(images, ending) for ending in image_endings}
    of_labels = {ending: _without(labels, ending) for ending in label_endings}
    for e, by_image in of_images.items():
        for f, by_label in of_labels.items():
            pairs = len(by_image.keys() & by_label.keys())
            enough = pairs > same and 2 * pairs > min(len(images), len(labels))
            if e and f:
                if e != f and _without_digits(e) == _without_digits(f):
                    continue  # caseA_000 and caseA_001 are two frames
                of_most = 2 * image_endings[e] > len(images) and 2 * label_endings[f] > len(labels)
                enough = enough and of_most and pairs > 1
            if enough:
                tried.append((-pairs, len(e) + len(f), e, f))
    if not tried:
        return None
    most, _, e, f = min(tried)
    _refuse_open_choice(images, labels, (of_images[e], of_labels[f]), (of_images[""], of_labels[""]))
    for pairs, _, other_e, other_f in tried:
        if pairs == most and (other_e == e) != (other_f == f):
            _refuse_open_choice(images, labels, (of_images[e], of_labels[f]), (of_images[other_e], of_labels[other_f]))
    return of_images[e], of_labels[f]


def _endings(stems: Iterable[str]) -> dict[str, int]:
    """Endings, each with the number of stems that have it: none at all, then the commonest first of those that begin
    with _, -, a dot or a space and that a fifth of the stems share. Numbers tell frames apart, so an ending without
    letters, or one that others have with other digits (_frame10 and _frame20), must be that of all stems."""
    stems = list(stems)
    counts = Counter(stem[i:] for stem in stems for i in range(1, len(stem)) if stem[i] in _SEPARATORS)
    shapes = {ending: _without_digits(ending) for ending in counts}
    alike = Counter(shapes.values())

    def is_common(ending: str) -> bool:
        return any(map(str.isalpha, ending)) and alike[shapes[ending]] == 1

    found = [(e, n) for e, n in counts.most_common() if (5 * n >= len(stems) and is_common(e)) or n == len(stems) > 1]
    return {"": len(stems)} | dict(found[:_MOST_ENDINGS])


def _without_digits(ending: str) -> str:
    return re.sub(r"\d", "0", ending)


def _without(stems: Iterable[str], ending: str) -> dict[str, str]:
    """The stems by what is left of each without the ending. A stem keeps its ending where another one already has the
    name that would be left."""
    stems = list(stems)
    if not ending:
        return {stem: stem for stem in stems}
    whole = {stem for stem in stems if not stem.endswith(ending) or stem == ending}
    return {stem if stem in whole or (cut := stem[: -len(ending)]) in whole else cut: stem for stem in stems}


def _refuse_open_choice(
    images: Mapping[str, Path],
    labels: Mapping[str, Path],
    chosen: tuple[dict[str, str], dict[str, str]],
    other: tuple[dict[str, str], dict[str, str]],
) -> None:
    """DataError where the two ways to pair give one image different label maps, or one label map different images."""
    one, two = ({i[k]: j[k] for k in i.keys() & j.keys()} for i, j in (chosen, other))
    for stem in sorted(one.keys() & two.keys(), key=natural):
        if one[stem] != two[stem]:
            names = f"{labels[one[stem]].name} and {labels[two[stem]].name}"
            raise DataError(f"{images[stem]}: {names} could both be its label map; move one kind to another folder")
    images_of = {label: image for image, label in one.items()}
    for stem, label in sorted(two.items(), key=lambda pair: natural(pair[0])):
        if images_of.get(label, stem) != stem:
            names = f"{images[images_of[label]].name} and {images[stem].name}"
            raise DataError(f"{labels[label]}: {names} could both be its image; move one kind to another folder")


def _by_likeness(images: Mapping[str, Path], labels: Mapping[str, Path]) -> dict[str, str] | None:
    """The label's stem by its image's, where all are the same but for capitals, leading zeros or a common beginning."""
    for key in (str.casefold, _without_zeros, _number_after(images, labels)):
        by_image, by_label = {key(stem): stem for stem in images}, {key(stem): stem for stem in labels}
        if by_image.keys() == by_label.keys() and len(by_image) == len(images) == len(labels) and "" not in by_image:
            return {by_image[k]: by_label[k] for k in by_image}
    return None


def _without_zeros(stem: str) -> str:
    return re.sub(r"\d+", lambda digits: digits.group().lstrip("0") or "0", stem.casefold())


def _number_after(images: Mapping[str, Path], labels: Mapping[str, Path]) -> Callable[[str], str]:
    """A key for stems: the number after the beginning that all stems of a side share; empty where something else
    follows it."""
    beginnings = [os.path.commonprefix(list(side)).rstrip("0123456789") for side in (images, labels)]  # noqa: RUF071

    def key(stem: str) -> str:
        for beginning in beginnings:
            if beginning and stem.startswith(beginning) and (rest := stem[len(beginning) :]).isdecimal():
                return rest.lstrip("0") or "0"
        return ""

    return key


def _what_instead(folder: Path) -> str:
    inside = [p for p in folder.iterdir() if not p.name.startswith(".")]
    if not inside:
        return "empty folder, no image file"
    if folders := sorted(p.name for p in inside if p.is_dir()):
        return f"no image file, but folders ({', '.join(folders[:5])}); name one of them"
    return f"no image file, but {', '.join(sorted({p.suffix or p.name for p in inside})[:5])}"
