"""Label Studio: its JSON export in `root`, with the images beside it or in a folder of images.

An image's name on the server begins with eight digits and a dash, which the file here need not have. Tasks without an
annotation are passed over. Its COCO and YOLO exports are read as those layouts. What is written, tasks.json with a
brush for each class, can be imported there and corrected; label_maps keeps the label maps as they were.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

from surgaug.datasets.item import Item, WrittenItem, can_be_a_path
from surgaug.datasets.pairing import IMAGE_FOLDERS, SPLIT_FOLDERS, find_folder, not_named, refuse_shared_images
from surgaug.datasets.stored_ids import BACKGROUND, read_description
from surgaug.datasets.stored_ids import plain_values as values
from surgaug.errors import DataError, UsageError
from surgaug.io.atomic import write_text
from surgaug.io.images import image_size, read_raw
from surgaug.labels.codecs.label_studio import (
    LabelStudioCodec,
    Task,
    brush,
    is_label_studio,
    label_config,
    read_tasks,
    titles_of,
)
from surgaug.labels.codecs.polygons import IGNORED, space_of_titles
from surgaug.labels.label_space import LabelSpace
from surgaug.labels.space_detection import class_file_space
from surgaug.runtime.parallel import in_threads

__all__ = ["check", "codec", "finish", "matches", "paths", "read", "unread", "values"]

TASKS, CONFIG = "tasks.json", "label_config.xml"
NO_PALETTE = "which draws brushes"
_UPLOAD = r"^[0-9a-f]{8}-"  # what the server puts before a file's name


def matches(root: Path) -> bool:
    """Whether a JSON file in `root` is an export of Label Studio's."""
    return bool(_files(root))


def read(root: Path, *, split: str | None = None) -> list[Item]:
    """The annotated tasks; a name that occurs twice keeps what the server put before it.

    The split is that of the task's data, where surgaug wrote it there.

    Raises DataError: a damaged file, no such split, no annotated task, two of one name or of one image.
    """
    folders = [folder for folder in (find_folder(root, IMAGE_FOLDERS), root) if folder]
    items = [
        Item(name, _image(folders, task.file_name), file / name, _told(task, "video"), _told(task, "split"))
        for file in _files(root)
        for name, task in read_tasks(file).items()
        if task.results is not None or task.fault
    ]
    if not items:
        raise DataError(f"{root}: no task of the export is annotated")
    refuse_shared_images(items, "call the files as the server does, with what it puts before the names")
    items = [item for item in items if split in (None, item.split)]
    if not items:
        raise DataError(f"{root}: no task of the export is of the split '{split}'; leave the split out")
    if twice := [name for name, n in Counter(item.name for item in items).items() if n > 1]:
        raise DataError(f"{root}: two exports have a task called {twice[0]}; keep one of them")
    short = Counter(re.sub(_UPLOAD, "", item.name) for item in items)
    return [replace(item, name=name) if short[name := re.sub(_UPLOAD, "", item.name)] == 1 else item for item in items]


def codec(root: Path, items: Sequence[Item], given: LabelSpace | None) -> LabelStudioCodec:
    """Draws by the labels' names; the space is `given`, a description's, a class file's, or that of the labels used."""
    declared = read_description([root])
    titles = {title for file in _files(root) for task in read_tasks(file).values() for title in titles_of(task)}
    own = declared.space if declared else class_file_space([root])
    space = given or own or space_of_titles(sorted(titles), listed=True)
    images = {item.label: item.image for item in items}

    def size(label: Path) -> tuple[int, int]:
        image = images.get(label)
        return image_size(image) if image else (0, 0)

    return LabelStudioCodec(space, sizes=size)


def unread(root: Path, items: Sequence[Item]) -> list[Path]:
    """Images beside those of the items that no annotated task names."""
    return not_named(items)


def check(root: Path, space: LabelSpace) -> None:
    """Raises UsageError for names that are one label to the reader."""
    lower = [name.strip().lower() for name in (*space.names, IGNORED)]
    if twice := [name for name, n in Counter(lower).items() if n > 1]:
        raise UsageError(f"--layout label_studio: two classes are called {twice[0]!r}; rename one in a class file")


def paths(frame: WrittenItem) -> tuple[str, str]:
    """images/NAME.png and label_maps/NAME.png."""
    return f"images/{frame.name}.png", f"label_maps/{frame.name}.png"


def finish(root: Path, frames: Sequence[WrittenItem], space: LabelSpace) -> None:
    """tasks.json, whose images are files below the folder that `root` lies in, and label_config.xml."""
    labels = {c.name: c for c in space.classes if c.name.lower() != BACKGROUND}
    colors = {name: c.color for name, c in labels.items()}
    ignored = space.ignore is not None and BACKGROUND in map(str.lower, space.names)
    ids = {name: c.id for name, c in labels.items()} | ({IGNORED: space.ignore} if ignored else {})

    def task(frame: WrittenItem) -> str:
        image, label = paths(frame)
        label_map = read_raw(root / label).values
        shown = [brush(name, label_map == class_id) for name, class_id in ids.items() if (label_map == class_id).any()]
        where = quote(f"{root.resolve().name}/{image}")
        told = {"split": frame.split, "video": frame.video, "synthetic": frame.synthetic}
        known = {key: value for key, value in told.items() if value is not None}
        data = {"image": f"/data/local-files/?d={where}", **known}
        return json.dumps({"data": data, "annotations": [{"result": shown}]}, ensure_ascii=False)

    write_text(root / CONFIG, label_config(colors | ({IGNORED: (128, 128, 128)} if ignored else {})))
    write_text(root / TASKS, "[\n" + ",\n".join(in_threads(task, frames)) + "\n]\n")


def _told(task: Task, key: str) -> str | None:
    """What the data of a task says of the frame."""
    value = task.data.get(key)
    if key == "split" and value not in SPLIT_FOLDERS:
        return None
    return value if isinstance(value, str) and value else None


def _files(root: Path) -> list[Path]:
    return sorted(p for p in root.glob("*.json") if p.is_file() and is_label_studio(p))


def _image(folders: Sequence[Path], file_name: str) -> Path | None:
    """The image of that name, with or without what the server puts before it."""
    names = (file_name, re.sub(_UPLOAD, "", file_name))
    places = (folder / name for folder in folders for name in names if can_be_a_path(name))
    return next((place for place in places if place.is_file()), None)
