"""A segmenter that the user supplies: one that `score` trained before, or a torchvision network's weights.

Either way a file of tensors: nothing in it is run.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from surgaug.errors import ModelError
from surgaug.labels.label_space import LabelSpace
from surgaug.models.checkpoint import file_hash
from surgaug.scoring.networks.weights import first_line, read_state
from surgaug.scoring.segmenter.network import UNET, Torchvision, build, known

FORMAT = "surgaug-segmenter-1"
SUFFIXES = (".safetensors", ".pth", ".pt")
_LAST = ("classifier.4.weight", "classifier.high_classifier.weight")  # of FCN and DeepLabV3, of LR-ASPP


@dataclass(frozen=True)
class Supplied:
    """A network in eval mode (see `network.build`), its kind, and its file. ids, size: None where no file says them."""

    network: nn.Module
    kind: str
    classes: int
    path: Path
    sha256: str
    ids: tuple[int, ...] | None = None
    size: tuple[int, int] | None = None

    def check(self, space: LabelSpace) -> None:
        """ModelError unless it tells the classes of `space` apart, no more and no fewer."""
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
    """What a file of `score`'s own says of itself, for safetensors' metadata."""
    return {"surgaug": json.dumps({"format": FORMAT, "kind": kind, "ids": space.ids[:classes], "size": size})}


def load(path: Path) -> Supplied:
    """The segmenter in a file.

    Raises:
        ModelError: no such file, one that holds anything but tensors, or tensors of no network known here.
    """
    state, about = read(path)
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
        wrapped = build(kind, classes)
        assert isinstance(wrapped, Torchvision)
        wrapped.network.load_state_dict(state)
        network = wrapped
    return Supplied(network.eval().requires_grad_(False), kind, classes, path, file_hash(path), ids, size)


def read(path: Path, option: str = "--segmenter") -> tuple[dict[str, Tensor], dict | None]:
    """Tensors by name, and what a file of our own says of itself. ModelError, naming `option`: no file of tensors."""
    if path.suffix != ".safetensors":
        return read_state(path), None
    try:
        with safe_open(path, "pt") as file:
            about = json.loads((file.metadata() or {}).get("surgaug", "null"))
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except (OSError, SafetensorError) as reason:
        raise ModelError(f"{option} {path}: not a safetensors file ({first_line(reason)})") from reason
    if about is not None and about.get("format") != FORMAT:
        raise ModelError(f"{option} {path}: a file of surgaug's, but no segmenter ({about.get('format')})")
    return state, about


def _recognised(path: Path, state: dict[str, Tensor]) -> tuple[str, int]:
    """Which of torchvision's networks these tensors are, and of how many classes."""
    classes = next((len(state[name]) for name in _LAST if name in state), None)
    if classes is not None:
        from torchvision.models import get_model

        shapes = {name: value.shape for name, value in state.items()}
        for kind in known():
            if kind == UNET:
                continue
            with torch.device("meta"):
                network = get_model(kind, weights=None, weights_backbone=None, num_classes=classes)
            if {name: value.shape for name, value in network.state_dict().items()} == shapes:
                return kind, classes
    raise ModelError(
        f"--segmenter {path}: neither a segmenter of `surgaug score` nor the state_dict of one of torchvision's "
        f"({', '.join(name for name in known() if name != UNET)})"
    )


def _listed(ids: tuple[int, ...]) -> str:
    return ", ".join(map(str, ids[:8])) + (f" ... ({len(ids)} in all)" if len(ids) > 8 else "")
