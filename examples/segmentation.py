"""Do synthetic images help? A segmentation network is trained on each training set and tested on the same real frames.

    python segmentation.py TRAINING_SET ... [--size HxW] [--steps N] [--batch N] [--seeds N] [--network NAME]

TRAINING_SET is a folder by `surgaug export --layout hf`; it is read with Pillow and torchvision, as any trainer would.
Every training takes the same number of steps from the same starting weights. The validation frames of the first set
test all of them, at their full size. The most frequent class everywhere stands beside them: what is no better than that
has learnt nothing. One training says little: give --seeds 3 or more before you believe a difference.

The network is a small U-Net, which learns from nothing within minutes, or one of torchvision's (deeplabv3_resnet50,
lraspp_mobilenet_v3_large, ...); these want --pretrained, or days.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import NoReturn

import torch
import torchvision
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, RandomSampler
from torchvision.transforms import v2
from torchvision.tv_tensors import Mask

IGNORE = 255
SECONDS = 10  # between two lines of progress
TO_TENSOR = [
    v2.ToImage(),
    v2.ToDtype(torch.float32, scale=True),
    v2.Normalize(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
]


class Frames(Dataset):
    """The frames of one split: float image [3, H, W], and label map [H, W] of classes 0 to K-1, 255 where ignored."""

    def __init__(self, folder: Path, transform: v2.Transform):
        with (folder / "metadata.csv").open(encoding="utf-8", newline="") as file:
            self.rows = list(csv.DictReader(file))
        self.folder, self.transform = folder, transform

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, k: int) -> tuple[Tensor, Tensor]:
        image = Image.open(self.folder / self.rows[k]["image_file_name"]).convert("RGB")
        label = Mask(Image.open(self.folder / self.rows[k]["label_file_name"]))
        image, label = self.transform(image, label)
        return image, label[0].long()


class UNet(nn.Module):
    """A small U-Net (Ronneberger et al. 2015) with batch normalisation: [B, 3, H, W] to {"out": [B, K, H, W]}.

    Any height and width of at least 8; called as torchvision's networks are.
    """

    def __init__(self, classes: int, widths: tuple[int, ...] = (16, 32, 64, 128)):
        super().__init__()
        self.down = nn.ModuleList(map(convolutions, (3, *widths), widths))
        self.up = nn.ModuleList(convolutions(near + far, near) for near, far in pairwise(widths))
        self.head = nn.Conv2d(widths[0], classes, 1)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        skips = [x := self.down[0](x)]
        for stage in self.down[1:]:
            skips.append(x := stage(F.max_pool2d(x, 2)))
        for stage, skip in zip(reversed(self.up), reversed(skips[:-1]), strict=True):
            x = stage(torch.cat([skip, F.interpolate(x, skip.shape[-2:], mode="bilinear")], 1))
        return {"out": self.head(x)}


def convolutions(inputs: int, outputs: int) -> nn.Sequential:
    """Twice 3x3, normalised and rectified."""
    layers = []
    for width in (inputs, outputs):
        layers += [nn.Conv2d(width, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


def build(name: str, classes: int, pretrained: bool) -> nn.Module:
    """The U-Net, or a network of torchvision's, its backbone from scratch or with ImageNet's weights (a download)."""
    if name == "unet":
        return UNet(classes)
    backbone = "DEFAULT" if pretrained else None
    return torchvision.models.get_model(name, weights=None, weights_backbone=backbone, num_classes=classes)


def train(frames: Frames, classes: int, options: argparse.Namespace, seed: int) -> nn.Module:
    """A network after `options.steps` steps; the seed draws its weights, the batches and their mirroring."""
    torch.manual_seed(seed)
    network = build(options.network, classes, options.pretrained).to(options.device).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=options.lr, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, options.lr, total_steps=options.steps)
    sampler = RandomSampler(frames, replacement=True, num_samples=options.steps * options.batch)
    batches = DataLoader(frames, options.batch, sampler=sampler, num_workers=options.workers)
    told = time.monotonic()
    for step, (images, labels) in enumerate(batches, 1):
        logits = network(images.to(options.device))["out"]
        loss = F.cross_entropy(logits, labels.to(options.device), ignore_index=IGNORE)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
        if time.monotonic() - told > SECONDS or step == options.steps:
            told = time.monotonic()
            print(f"{frames.folder}, seed {seed}: step {step}/{options.steps}, loss {loss:.3f}", file=sys.stderr)
    return network


@torch.no_grad()
def test(network: nn.Module, frames: Frames, size: tuple[int, int], classes: int, device: str) -> Tensor:
    """Over the pixels of all frames, how many of class i were taken for class j, [K, K]; ignored ones not counted."""
    network.eval()
    confusion = torch.zeros(classes, classes, dtype=torch.long)
    for image, label in frames:
        logits = network(F.interpolate(image[None].to(device), size, mode="bilinear", antialias=True))["out"]
        found = F.interpolate(logits, label.shape, mode="bilinear")[0].argmax(0).cpu()
        counted = label != IGNORE
        pairs = label[counted] * classes + found[counted]
        confusion += torch.bincount(pairs, minlength=classes**2).view(classes, classes)
    return confusion


def iou(confusion: Tensor) -> Tensor:
    """Intersection over union by class, from [..., K, K] to [..., K]; NaN for classes that no frame shows."""
    shown, hits = confusion.sum(-1), confusion.diagonal(dim1=-2, dim2=-1)
    return torch.where(shown > 0, hits / (shown + confusion.sum(-2) - hits), torch.nan)


def report(sets: dict[Path, Frames], confusions: dict[Path, Tensor], names: list[str]) -> str:
    """Both tables in Markdown, from the confusions [seeds, K, K] of each set: the mean over classes, class by class."""
    lines = ["| training set | real | synthetic | mIoU | seeds from .. to |", "|---|---|---|---|---|"]
    ious = {path: iou(confusion) for path, confusion in confusions.items()}
    for path, frames in sets.items():
        count = Counter(row["synthetic"] for row in frames.rows)
        miou = ious[path].nanmean(1)
        ends = f"{miou.min():.3f} .. {miou.max():.3f}"
        lines.append(f"| {path.name} | {count['false']} | {count['true']} | {miou.mean():.3f} | {ends} |")
    shown = next(iter(confusions.values()))[0].sum(1)
    usual = int(shown.argmax())
    constant = F.one_hot(torch.tensor(usual), len(names)) * shown[:, None]
    lines.append(f"| none: {names[usual]} everywhere | 0 | 0 | {iou(constant).nanmean():.3f} | |")
    lines += ["", "| IoU | " + " | ".join(path.name for path in sets) + " |", "|---" * (len(sets) + 1) + "|"]
    for k, name in enumerate(names):
        if shown[k]:
            lines.append(f"| {name} | " + " | ".join(f"{ious[path][:, k].mean():.3f}" for path in sets) + " |")
    return "\n".join(lines)


def class_names(sets: list[Path]) -> list[str]:
    """The classes of the sets, which must be the same in all. Ends the program where a folder is no such set."""
    found = []
    for path in sets:
        for name in ("id2label.json", "train/metadata.csv", *["validation/metadata.csv"] * (path == sets[0])):
            if not (path / name).is_file():
                more = "; --hold-out sets validation frames aside" if name.startswith("validation") else ""
                fail(f"{path / name}: no such file; surgaug export --layout hf --out {path} writes it{more}")
        found.append(json.loads((path / "id2label.json").read_text(encoding="utf-8")))
        if found[-1] != found[0]:
            fail(f"{path} has other classes than {sets[0]}")
    return [found[0][str(k)] for k in range(len(found[0]))]


def fail(message: str) -> NoReturn:
    sys.exit(f"segmentation.py: error: {message}")


def main() -> None:
    options = parse()
    names = class_names(options.sets)
    both = v2.Compose([v2.Resize(options.size), v2.RandomHorizontalFlip(), v2.RandomVerticalFlip(), *TO_TENSOR])
    sets = {path: Frames(path / "train", both) for path in options.sets}
    validation = Frames(options.sets[0] / "validation", v2.Compose(TO_TENSOR))
    confusions: dict[Path, list[Tensor]] = {path: [] for path in sets}
    for seed in range(options.seeds):
        for path, frames in sets.items():
            network = train(frames, len(names), options, seed)
            print(f"{path}, seed {seed}: testing on {len(validation)} frames", file=sys.stderr)
            confusions[path].append(test(network, validation, options.size, len(names), options.device))
    print(report(sets, {path: torch.stack(found) for path, found in confusions.items()}, names))


def size(text: str) -> tuple[int, int]:
    """ "64x112" to (64, 112)."""
    height, width = text.split("x")
    return int(height), int(width)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="+", type=Path, metavar="TRAINING_SET")
    parser.add_argument("--size", type=size, default=(128, 128), metavar="HxW")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--network", default="unet", help="or deeplabv3_resnet50, lraspp_mobilenet_v3_large")
    parser.add_argument("--pretrained", action="store_true", help="backbone with ImageNet's weights (a download)")
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    return parser.parse_args()


if __name__ == "__main__":
    main()
