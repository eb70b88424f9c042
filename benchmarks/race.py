"""Minutes to the same quality: ours and a diffusion model made with `diffusers`, trained on the same frames.

    pip install diffusers
    python benchmarks/race.py OUT --data DATA [--size 64x112] [--ours 1,2,4,8] [--peer 10,20,40] [--test 46]

The peer is `peers.py`'s: UNet2DModel with the label map's one-hot channels beside the image's and as many weights as
`tiny`. It is trained as diffusers' example for unconditional images does it: noise to be predicted, 1,000 levels of
DDPM's linear schedule, AdamW at 1e-4 after a warm-up, averaged weights, mirrored frames; it is painted with DDIM in 40
steps. Ours is `surgaug train` with so many minutes, from the model that ships and from nothing, painted as `surgaug
synthesize` does unless told otherwise. Training alone counts. Each paints one image of each of at most `--test` label
maps of DATA's test frames (without any, its validation frames), and these are scored together against the frames.

Writes OUT/race.md and OUT/race.json. What is there is kept; the peer's training, once stopped, begins anew.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import diffusers
import numpy as np
import torch
import torch.nn.functional as F
from diffusers.training_utils import EMAModel

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from frames import size, write_frames, write_pairs
from peers import one_hot, sampled, unet

import surgaug
from surgaug.cli import screen
from surgaug.datasets.dataset import PairedFrames, open_pairs
from surgaug.io.atomic import write_text
from surgaug.runtime.device import to_images, to_tensor
from surgaug.scoring.config import EvaluationConfig

BATCH, WARM_UP = 8, 100
METRICS = ("frechet", "kid", "sharpness", "psnr", "ssim", "miou")
# The first that there is decides who is nearer to the real frames; lower is better of the first three.
SHOWN = (
    "fd_efficientnet_lite0", "kd_efficientnet_lite0", "frechet_colour_texture", "sharpness", "psnr", "ssim", "miou",
    "miou_rare", "boundary_f",
)  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """A model after so many minutes, and the folder of its pairs."""

    name: str
    minutes: float
    steps: int
    folder: Path


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", required=True)
    parser.add_argument("--size", type=size, default=(64, 112), metavar="HxW")
    parser.add_argument("--ours", type=marks, default=marks("1,2,4,8"), help="minutes, each a training of its own")
    parser.add_argument("--peer", type=marks, default=marks("10,20,40"), help="minutes, along one training")
    parser.add_argument("--test", type=int, default=46)
    parser.add_argument("--segmenter-steps", type=int)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="of our trainings")
    options = parser.parse_args(arguments)
    frames = options.out / "frames"
    write_frames(options.data, frames, None, 100, options.size, "auto", options.test, True)
    real = frames / ("test" if (frames / "test").exists() else "val")
    entries = [entry for init in ("phantom", "none") for entry in ours(options, frames, real, init)]
    entries += peer(options, frames, real)
    report = surgaug.score(
        real, [entry.folder for entry in entries], train=frames / "train", classes=frames / "classes.json",
        metrics=METRICS, evaluation=EvaluationConfig(steps=options.segmenter_steps), feedback=screen.feedback(),
    ).to_dict()  # fmt: skip
    write_text(options.out / "race.json", json.dumps(report, indent=1))
    write_text(options.out / "race.md", table(report, entries))
    print(options.out / "race.md")


def marks(text: str) -> list[float]:
    return sorted(float(part) for part in text.split(","))


def ours(options: argparse.Namespace, frames: Path, real: Path, init: str) -> Iterator[Entry]:
    """A training for each number of minutes, since it plans its learning rate by them."""
    n, classes = len(list((real / "labels").iterdir())), frames / "classes.json"
    for minutes in options.ours:
        name = "ours" if init == "phantom" else "ours, from nothing"
        run, out = (options.out / f"ours-{init}-{minutes:g}{part}" for part in ("-run", ""))
        trained = surgaug.train(
            frames / "train", val=frames / "val", out=run, size=options.size, classes=classes, minutes=minutes,
            settings={"init": init} | dict(text.split("=", 1) for text in options.set), feedback=screen.feedback(),
        )  # fmt: skip
        surgaug.synthesize(real, n=n, model=run, out=out, classes=classes, feedback=screen.feedback())
        yield Entry(name, minutes, trained.step, out)


def peer(options: argparse.Namespace, frames: Path, real: Path) -> Iterator[Entry]:
    paired = open_pairs(frames / "train", classes=str(frames / "classes.json"))
    weights = options.out / "peer"
    net = unet(paired.space.num_classes).to(memory_format=torch.channels_last)
    if not all((weights / f"{minutes:g}.pt").exists() for minutes in options.peer):
        weights.mkdir(parents=True, exist_ok=True)
        learn(net, paired, options.peer, weights)
    test = open_pairs(real, classes=str(frames / "classes.json"))
    maps = [test.space.to_index(test.load(k)) for k in range(len(test))]
    names = [item.name for item in test.items]
    for minutes in options.peer:
        kept = torch.load(weights / f"{minutes:g}.pt", weights_only=True)
        net.load_state_dict(kept["net"])
        out = options.out / f"peer-{minutes:g}"
        images = paint(net, maps, test.space.num_classes)
        write_pairs(out, len(maps), lambda k, images=images: (images[k], test.space.to_ids(maps[k])), names)
        yield Entry("diffusers", minutes, kept["steps"], out)


def learn(net: diffusers.UNet2DModel, paired: PairedFrames, minutes: list[float], out: Path) -> None:
    """Train until the last of `minutes`; the averaged weights of each go to OUT/MINUTES.pt."""
    images = np.stack([paired.load_image(k) for k in range(len(paired))])
    maps = np.stack([paired.space.to_index(paired.load(k)) for k in range(len(paired))])
    classes, rng, left = paired.space.num_classes, np.random.default_rng(0), list(minutes)
    torch.manual_seed(0)
    optimizer = torch.optim.AdamW(net.parameters(), 1e-4, betas=(0.95, 0.999), weight_decay=1e-6, fused=True)
    scheduler = diffusers.DDPMScheduler(num_train_timesteps=1000)
    average = EMAModel(net.parameters(), decay=0.9999, use_ema_warmup=True, inv_gamma=1.0, power=0.75)
    start, steps = time.monotonic(), 0
    while left:
        chosen = rng.integers(len(images), size=BATCH)
        x_0, labels = to_tensor(images[chosen], "cpu"), one_hot(torch.from_numpy(maps[chosen]), classes)
        mirrored = torch.from_numpy(rng.random(BATCH) < 0.5)[:, None, None, None]
        x_0, labels = (torch.where(mirrored, part.flip(-1), part) for part in (x_0, labels))
        eps, t = torch.randn_like(x_0), torch.randint(0, 1000, (BATCH,))
        predicted = net(torch.cat([scheduler.add_noise(x_0, eps, t), labels], 1), t).sample
        F.mse_loss(predicted, eps).backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        for group in optimizer.param_groups:
            group["lr"] = 1e-4 * min(1, (steps + 1) / WARM_UP)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        average.step(net.parameters())
        steps += 1
        spent = (time.monotonic() - start) / 60
        if steps % 50 == 0:
            print(f"diffusers: {spent:.1f} min, {steps} steps", file=sys.stderr, flush=True)
        if spent >= left[0]:
            average.store(net.parameters())
            average.copy_to(net.parameters())
            torch.save({"net": net.state_dict(), "steps": steps}, out / f"{left.pop(0):g}.pt")
            average.restore(net.parameters())


@torch.inference_mode()
def paint(net: diffusers.UNet2DModel, maps: list[np.ndarray], classes: int) -> np.ndarray:
    """Images uint8 [N, H, W, 3] of N label maps of class indices uint8 [H, W]."""
    generator, made = torch.Generator().manual_seed(0), []
    for begin in range(0, len(maps), BATCH):
        labels = one_hot(torch.from_numpy(np.stack(maps[begin : begin + BATCH])), classes)
        noise = torch.randn(len(labels), 3, *labels.shape[2:], generator=generator)
        made.append(to_images(sampled(noise, lambda x, t, m=labels: net(torch.cat([x, m], 1), t).sample)))
    return np.concatenate(made)


def table(report: dict, entries: list[Entry]) -> str:
    """Markdown: a row a model and number of minutes; then for each of the peer's the first of ours that is nearer."""
    keys = [key for key in SHOWN if key in report["definitions"]]
    lines = [f"| | minutes | steps | {' | '.join(report['definitions'][key]['title'] for key in keys)} |"]
    lines += ["|---" * (len(keys) + 3) + "|"]
    distance = {}
    for entry, row in zip(entries, report["rows"], strict=True):
        values = [(row["measures"].get(key) or {}).get("value") for key in keys]
        shown = ["-" if value is None else f"{value:.4g}" for value in values]
        lines.append(f"| {entry.name} | {entry.minutes:g} | {entry.steps} | {' | '.join(shown)} |")
        distance[entry.name, entry.minutes] = values[0]
    lines.append("")
    for (name, minutes), there in distance.items():
        for own in () if name.startswith("ours") else ("ours", "ours, from nothing"):
            nearer = [m for (other, m), value in distance.items() if other == own and value <= there]
            lines.append(f"- {name} after {minutes:g} minutes: {own} {f'after {min(nearer):g}' if nearer else 'later'}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
