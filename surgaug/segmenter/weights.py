"""Files of a segmenter's weights: one that `score` trained, a torchvision network's, or a start for training.

Each is a file of tensors: nothing in it is run.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from surgaug.errors import ModelError
from surgaug.labels.label_space import LabelSpace
from surgaug.models.checkpoint import file_hash
from surgaug.models.foreign_weights import first_line, read_metadata, read_state
from surgaug.segmenter.network import Torchvision, build, of_torchvision

FORMAT = "surgaug-segmenter-1"
SUFFIXES = (".safetensors", ".pth", ".pt")
SHARE = 0.5  # of a network's weights that a file must hold to be a start for it; with fewer it is another network's
_LAST = ("classifier.4.weight", "classifier.high_classifier.weight")  # of FCN and DeepLabV3, of LR-ASPP
# Published classifiers name their layers otherwise than the segmentation networks that are built on them.
_PREFIXES = (("", ""), ("", "backbone."), ("features.", "backbone."))


@dataclass(frozen=True)
class Supplied:
    """The user's own segmenter: a network in eval mode (see `network.build`), its kind, and its file.

    ids, size: None where the file does not say them.
    """

    network: nn.Module
    kind: str
    classes: int
    path: Path
    sha256: str
    ids: tuple[int, ...] | None = None
    size: tuple[int, int] | None = None

    def check(self, space: LabelSpace) -> None:
        """ModelError unless its classes are those of `space`, no more and no fewer."""
        if self.classes != space.num_classes or (self.ids or space.ids) != space.ids:
            own = f"{self.classes} classes" if self.ids is None else f"classes {_listed(self.ids)}"
            raise ModelError(
                f"--segmenter {self.path}: it tells {own} apart, the label maps {_listed(space.ids)}; --classes names "
                "another label space"
            )


def is_file_name(text: str) -> bool:
    """Whether `--segmenter` means a file, not a network's name."""
    return Path(text).suffix in SUFFIXES


def describe(kind: str, space: LabelSpace, classes: int, size: tuple[int, int]) -> dict[str, str]:
    """What a file that `score` trained says of itself, for safetensors' metadata."""
    return {"surgaug": json.dumps({"format": FORMAT, "kind": kind, "ids": space.ids[:classes], "size": size})}


def load(path: Path) -> Supplied:
    """The segmenter in a file.

    Raises:
        ModelError: no such file, one that holds anything but tensors, or tensors of no network known here.
    """
    state, about = _read(path, "--segmenter")
    ids: tuple[int, ...] | None = None
    size: tuple[int, int] | None = None
    if about:
        kind, ids, size, classes = about["kind"], tuple(about["ids"]), tuple(about["size"]), len(about["ids"])
        network = build(kind, classes)
        try:
            network.load_state_dict(state)
        except RuntimeError as reason:
            raise ModelError(f"--segmenter {path}: damaged, not the {kind} it says ({first_line(reason)})") from reason
    else:
        # An auxiliary classifier serves training only.
        state = {name: value for name, value in state.items() if not name.startswith("aux_classifier.")}
        kind, classes = _recognised(path, state)
        network = build(kind, classes)
        _inner(network).load_state_dict(state)
    return Supplied(network.eval().requires_grad_(False), kind, classes, path, file_hash(path), ids, size)


def check_init(path: Path, name: str) -> None:
    """ModelError unless the file is a start for network `name` (see `network.build`), of whatever classes."""
    with torch.device("meta"):
        network = build(name, 2)
    _fitting(network, path, name)


def initialize(network: nn.Module, path: Path, name: str) -> int:
    """Give `network` all tensors of the file that fit by name and shape.

    Returns:
        How many of the network's own tensors stay as they were.

    Raises:
        ModelError: no such file, one that holds anything but tensors, or tensors of another network.
    """
    fitting = _fitting(network, path, name)
    _inner(network).load_state_dict(fitting, strict=False)
    return len(_inner(network).state_dict()) - len(fitting)


def _read(path: Path, option: str) -> tuple[dict[str, Tensor], dict | None]:
    """Tensors by name, and what a file that `score` trained says of itself. ModelError, naming `option`."""
    state = read_state(path, option)
    about = json.loads(read_metadata(path).get("surgaug", "null"))
    if about is not None and about.get("format") != FORMAT:
        raise ModelError(f"{option} {path}: a file of surgaug's, but no segmenter ({about.get('format')})")
    return state, about


def _recognised(path: Path, state: dict[str, Tensor]) -> tuple[str, int]:
    """Which of torchvision's networks these tensors are, and of how many classes."""
    classes = next((len(state[name]) for name in _LAST if name in state), None)
    if classes is not None:
        from torchvision.models import get_model

        shapes = {name: value.shape for name, value in state.items()}
        for kind in of_torchvision():
            with torch.device("meta"):
                network = get_model(kind, weights=None, weights_backbone=None, num_classes=classes)
            if {name: value.shape for name, value in network.state_dict().items()} == shapes:
                return kind, classes
    raise ModelError(
        f"--segmenter {path}: neither a segmenter of `surgaug score` nor the state_dict of one of torchvision's "
        f"({', '.join(of_torchvision())})"
    )


def _fitting(network: nn.Module, path: Path, name: str) -> dict[str, Tensor]:
    """The file's tensors under the network's names: of all ways to read the names, the one by which most fits."""
    state, _ = _read(path, "--segmenter-init")
    own = _inner(network).state_dict()
    renamed = [
        {
            new + key[len(old) :]: value
            for key, value in state.items()
            if key.startswith(old)
            and (mine := own.get(new + key[len(old) :])) is not None
            and mine.shape == value.shape
        }
        for old, new in _PREFIXES
    ]
    best = max(renamed, key=_weights)
    share = _weights(best) / _weights(own)
    if share < SHARE:
        raise ModelError(
            f"--segmenter-init {path}: {100 * share:.0f} % of the weights of --segmenter {name} are in it by name and "
            f"shape, fewer than {100 * SHARE:.0f} %: the weights of another network"
        )
    return best


def _inner(network: nn.Module) -> nn.Module:
    return network.network if isinstance(network, Torchvision) else network


def _weights(state: dict[str, Tensor]) -> int:
    return sum(value.numel() for value in state.values())


def _listed(ids: tuple[int, ...]) -> str:
    return ", ".join(map(str, ids[:8])) + (f" ... ({len(ids)} in all)" if len(ids) > 8 else "")
