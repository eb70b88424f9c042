"""LPIPS: the learned perceptual distance of Zhang et al. 2018, version 0.1, with weights that the user supplies.

Two files, told apart by what they hold: torchvision's ImageNet weights of VGG16 or AlexNet, and the published linear
heads for that network (`lpips/weights/v0.1/vgg.pth` or `alex.pth` of the `lpips` package, tensors lin0 to lin4).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from surgaug.errors import ModelError
from surgaug.models.checkpoint import file_hash
from surgaug.models.foreign_weights import first_line, read_state
from surgaug.scoring.compute.structural_similarity import check_pair
from surgaug.scoring.config import Weights
from surgaug.scoring.metrics import Metric

BACKBONES = {"vgg16": (3, 8, 15, 22, 29), "alexnet": (1, 4, 7, 9, 11)}  # the activations that are compared
SMALLEST = {"vgg16": 16, "alexnet": 63}  # pixels an edge; below, a layer has nothing left to look at
_FEATURES = "features."
_HEAD = "lin{}.model.1.weight"
_SHIFT, _SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
_EPSILON = 1e-10


class Lpips:
    """Distance of two images; may be called from several threads.

    Attributes:
        backbone: "vgg16" or "alexnet".
        sha256: of the two files, by what they hold.
        facts: what it was, for the report.
    """

    def __init__(self, files: Sequence[Path], device: torch.device) -> None:
        """ModelError unless `files` are a backbone and the heads for it."""
        states = {path: read_state(path) for path in files}
        bodies = [path for path, state in states.items() if f"{_FEATURES}0.weight" in state]
        heads = [path for path, state in states.items() if _HEAD.format(0) in state]
        if len(files) != 2 or len(bodies) != 1 or len(heads) != 1:
            raise ModelError(
                f"{', '.join(map(str, files))}: LPIPS needs two files: torchvision's VGG16 or AlexNet weights, and the "
                "linear heads of the lpips package (weights/v0.1/vgg.pth or alex.pth)"
            )
        self.backbone = "vgg16" if f"{_FEATURES}28.weight" in states[bodies[0]] else "alexnet"
        self.sha256 = {self.backbone: file_hash(bodies[0]), "heads": file_hash(heads[0])}
        self.facts = {"network": self.backbone, "sha256": self.sha256}
        self._layers = _features(self.backbone, states[bodies[0]], bodies[0]).to(device)
        known = [states[heads[0]].get(_HEAD.format(i)) for i in range(5)]
        widths = _widths(self._layers, BACKBONES[self.backbone])
        if [None if head is None else head.shape[1] for head in known] != widths:
            raise ModelError(f"{heads[0]}: not the linear heads for {self.backbone}")
        self._heads = [head.to(device) for head in known if head is not None]
        self._device = device

    @torch.inference_mode()
    def __call__(self, image: np.ndarray, reference: np.ndarray) -> float:
        """Distance >= 0, 0 for identical images uint8 [H, W, 3]. ValueError for shapes that differ, or too small."""
        check_pair(image, reference, SMALLEST[self.backbone], f"LPIPS ({self.backbone}) needs")
        pair = torch.from_numpy(np.stack([image, reference])).to(self._device).permute(0, 3, 1, 2).float()
        shift, scale = (torch.tensor(v, device=self._device).view(1, 3, 1, 1) for v in (_SHIFT, _SCALE))
        x = (pair / 127.5 - 1 - shift) / scale
        total, heads = 0.0, iter(self._heads)
        for i, layer in enumerate(self._layers):
            x = layer(x)
            if i in BACKBONES[self.backbone]:
                unit = x / (x.square().sum(1, keepdim=True).sqrt() + _EPSILON)
                total += float(((unit[0] - unit[1]).square() * next(heads)[0]).sum(0).mean())
        return total


def load(weights: Weights, device: torch.device) -> Lpips:
    """The distance with the user's weights. ModelError where they are not its own."""
    return Lpips(weights.lpips, device)


def _features(backbone: str, state: dict[str, Tensor], path: Path) -> nn.Sequential:
    from torchvision.models import get_model  # takes seconds to import

    with torch.device("meta"):  # random weights of the classifier alone would take seconds
        network = get_model(backbone, weights=None).features
    try:
        tensors = {k.removeprefix(_FEATURES): v.float() for k, v in state.items() if k.startswith(_FEATURES)}
        network.load_state_dict(tensors, assign=True)
    except Exception as reason:
        raise ModelError(f"{path}: not torchvision's {backbone} ({first_line(reason)})") from reason
    for module in network.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False  # what came before it is compared as well
    return network.eval().requires_grad_(False)[: BACKBONES[backbone][-1] + 1]


def _widths(layers: nn.Sequential, taken: tuple[int, ...]) -> list[int]:
    """Channels of the activations at `taken`: those of the last convolution before each."""
    return [next(m.out_channels for m in reversed(layers[: i + 1]) if isinstance(m, nn.Conv2d)) for i in taken]


METRIC = Metric(
    title="LPIPS",
    group="pairs",
    better="lower",
    needs="pair",
    convention="Zhang et al. 2018, version 0.1, at the images' own size; mean over pairs",
    weights="lpips",
    lacking="LPIPS needs weights: --lpips-weights FILE twice, for the network and for its linear heads",
    load=load,
)
