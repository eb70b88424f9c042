"""Data sets opened: the files found and paired, their encoding and label space known, each frame a call away."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from unicodedata import normalize

import numpy as np

from surgaug.datasets import layouts
from surgaug.datasets.encoding import find_encoding, is_auto, named_spaces
from surgaug.datasets.item import Item, check_names, fingerprint
from surgaug.datasets.layouts import cadis
from surgaug.datasets.pairing import (
    IMAGE_FOLDERS,
    LABEL_FOLDERS,
    SPLIT_FOLDERS,
    find_folder,
    is_telling,
    items_of_labels,
)
from surgaug.datasets.passed_over import frames_not_read
from surgaug.datasets.stored_ids import read_description
from surgaug.errors import DataError, UsageError
from surgaug.io.images import image_size, read_image
from surgaug.labels.codec import Codec, DrawnCodec
from surgaug.labels.label_space import LabelSpace
from surgaug.labels.scan import Scan
from surgaug.labels.space_detection import cadis_named
from surgaug.runtime.feedback import Feedback
from surgaug.runtime.paths import portable

# Videos in file names: Video7_frame008830 (CaDIS), case5013_57 (Cataract-1K), seq_3_frame010.
_VIDEO = re.compile(r"((?:video|vid|case|seq|sequence|patient)[ _-]?\d+)[_-]", re.IGNORECASE)
# What other layouts' folders can look like as well, the least telling first.
_PLAIN = (("two_folders",), ("beside",), ("cases",), ("folders", "splits"))
# Layouts of folders that people name themselves, beside which others may lie.
_OWN_FOLDERS = ("two_folders", "beside", "cases", "folders", "splits", "mmseg", "yolo", "labelme")
_PACKED = (".zip", ".tar", ".tar.gz", ".tgz", ".7z", ".rar")
_SIZES_READ = 32  # images whose headers tell the usual size
_SPLIT_NAMES = {"training": "train", "validation": "val", "valid": "val", "testing": "test"}


@dataclass(frozen=True, eq=False)
class LabelMaps:
    """Label maps of one label space.

    scans: what each label file holds. notes: what a user should hear of it. doubts: what to be warned of. strays: of
    annotations that belong to no frame, a line each. unread: image files that no annotation names. left_out: why frames
    were left out, a line each.
    """

    items: tuple[Item, ...]
    space: LabelSpace
    codec: Codec | DrawnCodec
    root: Path | None
    scans: dict[Path, Scan] = field(repr=False)
    notes: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    strays: tuple[str, ...] = ()
    unread: tuple[Path, ...] = ()
    left_out: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.items)

    def load(self, i: int) -> np.ndarray:
        """Ids [H, W] of item i, uint8 (uint16 where the space has ids above 255). DataError names file and value."""
        label = self.items[i].label
        if label is None:
            raise DataError(f"{self.items[i].image}: no label map of that stem")
        return self.codec.decode(label)

    load_label = load

    def fingerprint(self, i: int) -> str:
        """sha256 of what item i's label map is read from, hexadecimal."""
        label = self.items[i].label
        assert label is not None, self.items[i].name
        files = self.codec.files(label) if isinstance(self.codec, DrawnCodec) else (label,)
        if len(files) == 1:
            return fingerprint(files[0])
        return hashlib.sha256("".join(f"{path.name} {fingerprint(path)}\n" for path in files).encode()).hexdigest()


@dataclass(frozen=True, eq=False)
class PairedFrames(LabelMaps):
    """Label maps with their images."""

    root: Path
    layout: str = ""

    def load_image(self, i: int) -> np.ndarray:
        """RGB uint8 [H, W, 3] of item i. DataError names the file."""
        image = self.items[i].image
        if image is None:
            raise DataError(f"{self.items[i].label}: no image of that stem")
        return read_image(image)


def open_pairs(
    root: Path,
    *,
    classes: str | Path | LabelSpace = "auto",
    split: str | None = None,
    images: Path | None = None,
    labels: Path | None = None,
    exclude_known_errors: bool = False,
    also: Sequence[Path] = (),
    feedback: Feedback | None = None,
) -> PairedFrames:
    """Open a data set of images with label maps; every label map is read once, in threads.

    classes: "auto", a built-in name, a class file, or a label space. split: "train", "val" or "test"; all if None.
    images, labels: the folders, relative to `root`, where their names do not tell; they may hold folders by split or
    video. exclude_known_errors: leave out frames of CaDIS that are known to be labelled wrongly, except those of its
    validation and test split, which stay as published. also: further data sets (of the same layout) whose ids count as
    well where classes are found from ids; those that name their classes do not. Images without label and labels without
    image stay among the items: `survey` refuses and lists them.

    Raises:
        DataError: no such folder, no layout or several, no frame, an encoding that cannot be (see `detect_codec`).
        UsageError: `exclude_known_errors` for frames that are not CaDIS's.
    """
    root = Path(root)
    split = _SPLIT_NAMES.get(split or "", split)
    layout, given = _layout(root, images, labels)
    module = layouts.get(layout)
    everything = module.read(root, **given)
    items = [item for item in everything if split in (None, item.split)]
    if not items:
        items = module.read(root, split=split, **given)  # says why there is none
    left_out: list[str] = []
    if exclude_known_errors:
        items, left_out = _without_known_errors(items, root)
    # Found classes must be the same for every split of a data set, so all of its maps are looked at.
    whole = [*everything, *_beside(also, layout)] if is_auto(classes) else items
    check_names(items)
    read = find_encoding(whole, classes, [root], module, feedback)
    notes = (*read.notes, *left_out, *_pairing_told(items, layout))
    strays = tuple(module.strays(root)) if hasattr(module, "strays") else ()
    unread = tuple(module.unread(root, everything)) if hasattr(module, "unread") else ()
    named = _named_apart(items)
    passed_over = []
    if layout in _OWN_FOLDERS:
        passed_over = frames_not_read(root, everything, beside=not given, outputs=layout == "cases")
    maps = (named, read.space, read.codec, root, read.scans, notes, (*read.doubts, *passed_over))
    return PairedFrames(*maps, strays=strays, unread=unread, layout=layout)


def open_masks(
    source: Path | Sequence[Path],
    *,
    classes: str | Path | LabelSpace = "auto",
    feedback: Feedback | None = None,
) -> LabelMaps:
    """Open label maps: a folder of them, a data set (its labels), or a list of files and folders.

    Names are the stems; files of one stem from different folders of a list get the folder's name before it.

    Raises:
        DataError: as `open_pairs`; an empty list; a path that is not there.
    """
    if not isinstance(source, (str, Path)) and len(source) == 1 and Path(source[0]).is_dir():
        source = source[0]
    if isinstance(source, (str, Path)):
        root, listed = Path(source), None
        items, layout = _mask_items(root)
    else:
        root, listed, layout = None, [Path(p) for p in source], None
        items = _listed_items(listed)
    check_names(items)
    module = layouts.get(layout) if layout else None
    read = find_encoding(items, classes, [root] if root else [], module, feedback)
    strays = tuple(module.strays(root)) if root and module and hasattr(module, "strays") else ()
    named = _named_apart(items)
    passed_over = frames_not_read(root, items, beside=False) if root and root.is_dir() and not layout else []
    doubts = (*read.doubts, *passed_over)
    return LabelMaps(named, read.space, read.codec, root, read.scans, read.notes, doubts, strays=strays)


def is_data_set(root: Path) -> bool:
    """Whether a folder has the layout of a data set; what its files hold is not looked at."""
    try:
        return root.is_dir() and any(layouts.get(name).matches(root) for name in layouts.names())
    except DataError:  # a file or a folder that belongs to a layout, and is damaged or there twice
        return True
    except OSError:  # folders that come and go, or may not be seen
        return False


def would_change(root: Path, out: Path) -> bool:
    """Whether pairs written to the folder `out` would change what `open_masks` reads in `root`, in which it lies.

    False where it lies elsewhere. Raises DataError for a data set of several layouts.
    """
    try:
        inner = out.resolve().relative_to(root.resolve()).parts
    except ValueError:
        return False
    if not inner or not root.is_dir():
        return False
    if is_telling(inner[0]):
        return True
    return _layout_if_any(root) == "two_folders"


def items_of(root: Path) -> list[Item]:
    """The items of a data set as its layout lists them; no image and no label map is read. DataError: no data set."""
    return layouts.get(_layout_of(root)).read(root)


def usual_size(root: Path, images: Path | None = None, labels: Path | None = None) -> tuple[int, int]:
    """(H, W) of most images of a data set, by the headers of some; images, labels: as in `open_pairs`.

    DataError: no data set, or no image in it that can be read.
    """
    layout, given = _layout(root, images, labels)
    files = [item.image for item in layouts.get(layout).read(root, **given) if item.image is not None]
    sizes: Counter[tuple[int, int]] = Counter()
    for path in files[:: max(1, len(files) // _SIZES_READ)]:
        with suppress(DataError):  # it is refused, or left out, when the data set is opened
            sizes[image_size(path)] += 1
    if not sizes:
        raise DataError(f"{root}: no image that can be read")
    return sizes.most_common(1)[0][0]


def _layout(root: Path, images: Path | None, labels: Path | None) -> tuple[str, dict[str, Path]]:
    """The layout, and the folders that its `read` is given, if any were named."""
    if not (images or labels):
        return _layout_of(root), {}
    given = _two_folders(root, images, labels)
    return "splits" if _by_split(*given.values()) else "folders", given


def _layout_of(root: Path) -> str:
    _refuse_packed(root)
    if not root.is_dir():
        raise DataError(f"{root}: no such folder")
    found = [name for name in layouts.names() if layouts.get(name).matches(root)]
    for plain in _PLAIN:
        found = [name for name in found if name not in plain] or found
    if len(found) > 1:
        raise DataError(f"{root}: could be read as {' and as '.join(found)}; name the inner folder instead")
    if not found:
        raise DataError(
            f"{root}: no images with label maps: expected images|imgs|frames beside labels|masks|gt, the same in "
            "train and val folders, CaDIS's VideoNN/Images and VideoNN/Labels, or Supervisely's ann; or name two "
            f"folders with --images and --labels; {_holds(root)}"
        )
    return found[0]


def _layout_if_any(root: Path) -> str | None:
    """The layout of a folder; None for one of label maps alone."""
    return _layout_of(root) if any(layouts.get(name).matches(root) for name in layouts.names()) else None


def _two_folders(root: Path, images: Path | None, labels: Path | None) -> dict[str, Path]:
    """The folders that were named, or that go by their names. Raises DataError where one is not there."""
    found = {
        "images": root / images if images else find_folder(root, IMAGE_FOLDERS),
        "labels": root / labels if labels else find_folder(root, LABEL_FOLDERS),
    }
    for kind, folder in found.items():
        if folder is None or not folder.is_dir():
            raise DataError(f"{folder or root}: no such folder; name the folder of the {kind} with --{kind}")
    return {kind: folder for kind, folder in found.items() if folder is not None}


def _by_split(images: Path, labels: Path) -> bool:
    """Whether both folders hold folders by split."""
    return any(find_folder(images, names) and find_folder(labels, names) for names in SPLIT_FOLDERS.values())


def _pairing_told(items: Sequence[Item], layout: str) -> list[str]:
    """What was left out of account when names were paired, by an example."""
    if layout not in (name for plain in _PLAIN for name in plain):
        return []
    both = (item.files for item in items if item.image is not None and item.label is not None)
    other = next(((i, p) for i, p in both if normalize("NFC", i.stem) != normalize("NFC", p.stem)), None)
    return [f"images and label maps paired as {other[0].name} with {other[1].name}"] if other else []


def _holds(root: Path) -> str:
    inside = sorted(p.name + "/" * p.is_dir() for p in root.iterdir() if not p.name.startswith("."))
    if packed := [name for name in inside if name.lower().endswith(_PACKED)]:
        return f"it holds {packed[0]}, which must be unpacked first"
    return f"it holds {', '.join(inside[:5])}{', ...' if len(inside) > 5 else ''}" if inside else "it is empty"


def _refuse_packed(path: Path) -> None:
    if path.is_file() and path.name.lower().endswith(_PACKED):
        raise DataError(f"{path}: a packed file; unpack it, and name the folder")


def _mask_items(root: Path) -> tuple[list[Item], str | None]:
    """The label maps of a folder: of a data set, of its one label folder, or the files in it; and the layout if any."""
    _refuse_packed(root)
    if root.is_file():
        return _listed_items([root]), None
    if not root.is_dir():
        raise DataError(f"{root}: no such folder")
    if layout := _layout_if_any(root):
        found = layouts.get(layout).read(root)
        items = [replace(item, image=None) for item in found if item.label is not None or item.twins]
        if not items:
            raise DataError(f"{root}: no label map, only images")
        return items, layout
    folder = find_folder(root, LABEL_FOLDERS) or root
    return items_of_labels(folder), None


def _listed_items(paths: Sequence[Path]) -> list[Item]:
    items: list[Item] = []
    for path in paths:
        if path.is_dir():
            found, layout = _mask_items(path)
            if layout and hasattr(layouts.get(layout), "codec") and read_description([path]) is None:
                raise DataError(
                    f"{path}: a data set of the layout {layout}, whose label files cannot be read without it; give it "
                    "alone, or bring it to label maps first, with export"
                )
            items += found
        elif path.is_file():
            items.append(Item(path.stem, None, path))
        else:
            raise DataError(f"{path}: no such file")
    if not items:
        raise DataError("no label map named")
    files = {item.label or item.twins[0]: item for item in items}
    counts = Counter(item.name for item in files.values())
    by_name: dict[str, Path] = {}
    for path, item in files.items():
        name = item.name if counts[item.name] == 1 else f"{path.parent.name}_{item.name}"
        if (first := by_name.setdefault(name, path)) is not path:
            raise DataError(f"{first} and {path}: two files of one name; rename one of them")
    return [replace(files[path], name=name) for name, path in by_name.items()]


def _named_apart(items: Sequence[Item]) -> tuple[Item, ...]:
    """The items with names as `_named` makes them. DataError where two come to the same one."""
    by_name: dict[str, Item] = {}
    for item in map(_named, items):
        if (other := by_name.setdefault(item.name, item)) is not item:
            files = [str(i.label or i.image or i.twins[0]) for i in (other, item)]
            raise DataError(f"{' and '.join(files)}: two frames that would both be called {item.name}; rename one")
    return tuple(by_name.values())


def _named(item: Item) -> Item:
    """`item` with a name that can be written anywhere, and the video that its name begins with, if it has none."""
    video = _VIDEO.match(item.name) if item.video is None else None
    return replace(item, name=portable(item.name), video=video.group(1) if video else item.video)


def _beside(roots: Sequence[Path], layout: str) -> list[Item]:
    """The items of further data sets with bare ids. Sets of another layout, and those with an encoding or class names
    of their own, are left out."""
    others = [root for root in map(Path, roots) if root.is_dir() and _layout_of(root) == layout]
    module = layouts.get(layout)
    found = [] if hasattr(module, "codec") else [item for root in others for item in module.read(root)]
    named = named_spaces(item.label for item in found if item.label is not None)
    return [item for item in found if item.label is None or item.label.parent not in named]


def _without_known_errors(items: Sequence[Item], root: Path) -> tuple[list[Item], list[str]]:
    """The items that may be trained on, and what is to be said of the others."""
    files = {item: file.stem for item in items if (file := item.image or item.label)}
    if not cadis_named(files.values()):
        raise UsageError(f"{root}: frames with known label errors are listed for CaDIS only (VideoN_frameNNNNNN.png)")
    wrong = {item for item, stem in files.items() if stem in cadis.known_errors()}
    kept = [item for item in items if item not in wrong or item.split in ("val", "test")]
    if not kept:
        raise DataError(f"{root}: all {len(items)} frames are known to be labelled wrongly")
    stay = sum(item in wrong for item in kept)
    notes = [f"{len(items) - len(kept)} frames known to be mislabelled are left out"]
    return kept, notes + ([f"{stay} of the validation and test split stay, as published"] if stay else [])
