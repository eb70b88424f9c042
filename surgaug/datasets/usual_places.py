"""What a command works on where the line does not say: what lies in the working folder by usual names.

One candidate is taken, and why is told; of several none is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from surgaug.datasets.dataset import is_data_set
from surgaug.datasets.pairing import SPLIT_FOLDERS, find_folder
from surgaug.errors import DataError, UsageError
from surgaug.io.manifest import MANIFEST

DATA = ("data", "dataset", "datasets", "frames", "cadis*")  # any case
AUGMENTED, SYNTHETIC = "augmented*", "synthetic*"  # what commands call their outputs


@dataclass(frozen=True)
class Place:
    """A path, relative to the folder that was looked in or that folder itself, and why it is meant."""

    path: Path
    why: str


def data_set(here: Path = Path()) -> Place:
    """The data set that lies in a folder by a usual name, else the folder itself where it is one.

    A folder of a usual name may hold one: data/CaDIS. Raises UsageError where there are several, or none.
    """
    return _only(
        "data set", data_sets(here), f"{', '.join(name + '/' for name in DATA)} or a data set in {_shown(here)}"
    )


def data_sets(here: Path = Path()) -> list[Place]:
    """All that `data_set` chooses among."""
    found = [place for folder in _usual(_folders(here)) for place in _in_or_at(folder)]
    return found or ([Place(here, "this folder is a data set")] if is_data_set(here) else [])


def label_maps(here: Path = Path()) -> Place:
    """Label maps to synthesize from: new ones that augment-masks wrote, else those of the data set.

    Raises UsageError as `data_set` does.
    """
    if made := _written(here, AUGMENTED, "labels", "new label maps that augment-masks wrote"):
        return _only("folder of new label maps", made, "")
    return data_set(here)


def real_frames(here: Path = Path()) -> Place:
    """Real frames to compare with: the validation split's folder of the data set, else all of it.

    Raises UsageError as `data_set` does.
    """
    whole = data_set(here)
    if held_out := validation_frames(whole.path):
        return Place(held_out, f"the validation frames of {whole.path}, {whole.why}")
    return Place(whole.path, f"{whole.why}; it has no folder of validation frames")


def validation_frames(root: Path) -> Path | None:
    """The folder of a data set's validation split, where that is a data set by itself."""
    try:
        held_out = find_folder(root, SPLIT_FOLDERS["val"])
    except DataError:  # two folders by such names
        return None
    return held_out if held_out is not None and is_data_set(held_out) else None


def synthetic_images(here: Path = Path()) -> Place:
    """What `synthesize` wrote. Raises UsageError where several such folders lie there, or none."""
    made = _written(here, SYNTHETIC, "images", "what synthesize wrote")
    return _only("folder of synthetic images", made, f"{SYNTHETIC}/ with a {MANIFEST}")


FINDERS: dict[str, Callable[[Path], Place]] = {
    "data set": data_set,
    "label maps": label_maps,
    "real frames": real_frames,
    "synthetic images": synthetic_images,
}


def _only(what: str, places: list[Place], looked_for: str) -> Place:
    if len(places) > 1:
        raise UsageError(f"more than one {what} here: {' and '.join(str(place.path) for place in places)}")
    if not places:
        raise UsageError(f"no {what} here (looked for {looked_for})")
    return places[0]


def _written(here: Path, pattern: str, inside: str, why: str) -> list[Place]:
    """Outputs of a command, by name, manifest and the folder inside that it fills."""
    named = (folder for folder in _folders(here) if fnmatch(folder.name.lower(), pattern))
    return [Place(folder, why) for folder in named if (folder / MANIFEST).is_file() and (folder / inside).is_dir()]


def _in_or_at(folder: Path) -> list[Place]:
    """The data sets of usual names in a folder, else the folder itself, else any in it.

    In this order, since what holds CaDIS's folder can be read as a folder of cases, too.
    """
    inner = [path for path in _folders(folder) if is_data_set(path)]
    within = [Place(path, f"a data set in {folder}") for path in _usual(inner) or inner]
    at = [Place(folder, "a data set by a usual name")] if is_data_set(folder) else []
    return within if _usual(inner) else at or within


def _usual(folders: Iterable[Path]) -> list[Path]:
    return [folder for folder in folders if any(fnmatch(folder.name.lower(), name) for name in DATA)]


def _folders(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    except OSError:
        return []


def _shown(here: Path) -> str:
    return "this folder itself" if here == Path() else str(here)
