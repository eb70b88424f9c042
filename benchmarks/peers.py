"""The same work done with what one would pick instead, side by side in one run on one machine.

    pip install diffusers albumentations
    python benchmarks/peers.py [--rows ddim,usual,student,sdm,sdm-usual,sdm-cache,train,masks] [--size 64x112]
                               [--batch 1] [--seconds 45] [--model RUN] [--student RUN]

- `ddim`, `train`: sampling with DDIM, and a step of training, of our `tiny` beside `diffusers`: UNet2DModel with the
  label map's one-hot channels beside the image's, as its users condition it, DDIM of 40 steps; as many weights to a
  tenth, float32 on CPUs, the device's best elsewhere, the same batch;
- `usual`, `student`: `--model` (a run or a file; the model that ships, without) and `--student`, a student of it, as
  `surgaug synthesize` samples them unless told otherwise, beside the same peer: guidance is in it, and of a model of
  two stages both, but where `--size` is no larger than the first one's;
- `sdm`, `sdm-usual`: sampling with DDIM, and that of `usual`, beside SPADE as SDM has it (a hidden layer and 3x3
  projections in every block of the decoder, full resolution, computed anew in every step), as many weights to a tenth;
- `sdm-cache`: that same network by our generator, which computes the label map's part once;
- `masks`: new label maps of 540x960 with `albumentations`: mirror, affine, elastic of the whole map.

What is compared is done turn by turn, so that a slow minute slows both: a turn to warm up, then at least three, until
`--seconds` are over. Printed: items a second of each, their ratio (median and range over the turns), and the weights.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import statistics
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import cv2
import diffusers
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from augment import Given
from frames import phantom, size
from speed import NETWORKS

from surgaug.diffusion.schedules import Schedule
from surgaug.labels.builtin_spaces import load_space
from surgaug.labels.label_space import IGNORE_INDEX
from surgaug.models.checkpoint import LoadedModel, load_model
from surgaug.models.model_files import SHIPPED, model_file
from surgaug.models.unet import SemanticUNet
from surgaug.perturb.engine import Engine, build, sample_rng
from surgaug.perturb.recipe import Recipe as Perturbation
from surgaug.runtime.device import autocast, pick_device, pick_precision, to_images
from surgaug.runtime.feedback import Silent
from surgaug.synthesis.cascade import CascadeGenerator
from surgaug.synthesis.config import SynthesizeConfig
from surgaug.synthesis.generators import DiffusionGenerator
from surgaug.synthesis.sampling_settings import SamplingSettings, choose_settings

SPACE = load_space("cadis")
CLASSES = SPACE.num_classes
STEPS, LEAST = 40, 3
ROWS = ("ddim", "usual", "student", "sdm", "sdm-usual", "sdm-cache", "train", "masks")
MASK_SIZE = (540, 960)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", help="some of " + ",".join(ROWS) + " [default: all; student with --student]")
    parser.add_argument("--size", type=size, default=(64, 112), metavar="HxW")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=45.0, help="a row")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--model", type=Path, default=SHIPPED)
    parser.add_argument("--student", type=Path)
    options = parser.parse_args()
    usual = [row for row in ROWS if row != "student" or options.student]
    wanted = options.rows.split(",") if options.rows else usual
    if "student" in wanted and not options.student:
        parser.error("--rows student: name one with --student")
    if unknown := sorted(set(wanted) - set(ROWS)):
        parser.error(f"--rows {','.join(unknown)}: some of {','.join(ROWS)}")
    device = pick_device(options.device)
    print(
        f"{device}, {torch.get_num_threads()} CPU threads, torch {torch.__version__}, diffusers "
        f"{diffusers.__version__}, albumentations {version('albumentations') if 'masks' in wanted else 'not used'}; "
        f"{options.size[0]}x{options.size[1]}, batch {options.batch}"
    )
    rows = make_rows(options, device, pick_precision("auto", device))
    print("| work | ours a second | peer | peer's a second | ratio | range |")
    print("|---|---|---|---|---|---|", flush=True)
    for name in wanted:
        compare(*rows[name](), options.seconds)


def make_rows(options: argparse.Namespace, device: torch.device, dtype: torch.dtype | None) -> dict[str, Callable]:
    """For each of `ROWS` a function that makes ready (work, ours, peer, theirs), each side a function that returns how
    many items it made."""
    maps = np.stack([SPACE.to_index(phantom(k, k, "Test", options.size)[1]) for k in range(options.batch)])
    nets = {
        "ours": SemanticUNet(NETWORKS["tiny"], CLASSES),
        "diffusers": unet(CLASSES),
        "SPADE of SDM": SemanticUNet(NETWORKS["spade-of-sdm"], CLASSES),
    }
    for net in nets.values():
        net.to(device, memory_format=torch.channels_last).eval()
    ours, theirs, spade = nets.values()
    print("weights, million: " + ", ".join(f"{k} {count(net) / 1e6:.2f}" for k, net in nets.items()) + "\n")

    def with_diffusers() -> Callable[[], int]:
        return ddim(maps, device, dtype, one_hot, lambda x, t, m: theirs(torch.cat([x, m], 1), t).sample)

    def anew() -> Callable[[], int]:
        # The label map goes through the network in every step, as in SDM's code; t is not what takes time.
        def predict(x: torch.Tensor, t: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            return spade(x, (1 - t / 1000).to(x).expand(len(x)), spade.encode(labels))

        return ddim(maps, device, dtype, lambda labels: labels, predict)

    def train(net: nn.Module, forward: Callable) -> Callable[[], int]:
        return training(net, maps, device, dtype, forward)

    def masks() -> tuple:
        scenes = [phantom(k, k, "Test", MASK_SIZE)[1] for k in range(8)]
        return "label maps of 540x960", engine(scenes), "albumentations", warps(scenes)

    def trained(model: Path) -> tuple[str, Callable[[], int]]:
        loaded = load_model(model_file(model), device)
        if all(side <= small for side, small in zip(options.size, loaded.first.size, strict=True)):
            loaded = loaded.first
        settings = choose_settings(SynthesizeConfig(masks=Path()), loaded)
        second = f" and {settings.second.steps} at full size" if settings.second else ""
        return f"images, {settings.sampler} {settings.steps}{second}", sampling(loaded, settings, maps, device, dtype)

    paint, sdm = own_generator(ours, maps, device, dtype), own_generator(spade, maps, device, dtype)
    return {
        "ddim": lambda: ("images, DDIM 40", paint("ddim", STEPS), "diffusers, DDIM 40", with_diffusers()),
        "usual": lambda: (*trained(options.model), "diffusers, DDIM 40", with_diffusers()),
        "student": lambda: (*trained(options.student), "diffusers, DDIM 40", with_diffusers()),
        "sdm": lambda: ("images, DDIM 40", paint("ddim", STEPS), "SPADE of SDM, DDIM 40", anew()),
        "sdm-usual": lambda: (*trained(options.model), "SPADE of SDM, DDIM 40", anew()),
        "sdm-cache": lambda: ("images, SPADE of SDM, DDIM 40", sdm("ddim", STEPS), "the same without cache", anew()),
        "train": lambda: (
            "frames of training",
            train(ours, lambda x, t, m: ours(x, t, ours.encode(m))),
            "diffusers",
            train(theirs, lambda x, t, m: theirs(torch.cat([x, one_hot(m)], 1), 999 * t).sample),
        ),
        "masks": masks,
    }


def compare(work: str, ours: Callable[[], int], peer: str, theirs: Callable[[], int], seconds: float) -> None:
    """Both in turn; prints a row, and to stderr what is going on."""
    rates: list[tuple[float, ...]] = []
    end = time.perf_counter() + seconds
    for turn in itertools.count():
        pair = tuple(rate(run) for run in (ours, theirs))
        print(f"{work}, turn {turn}: {pair[0]:.3g} and {pair[1]:.3g} a second", file=sys.stderr, flush=True)
        if turn:  # the first one warms up
            rates.append(pair)
        if len(rates) >= LEAST and time.perf_counter() > end:
            break
    ratios = [a / b for a, b in rates]
    mine, other = (statistics.median(values) for values in zip(*rates, strict=True))
    print(
        f"| {work} | {mine:.3g} | {peer} | {other:.3g} | {statistics.median(ratios):.2f} x "
        f"| {min(ratios):.2f} to {max(ratios):.2f} |",
        flush=True,
    )


def rate(run: Callable[[], int]) -> float:
    start = time.perf_counter()
    n = run()
    return n / (time.perf_counter() - start)


def count(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


def unet(classes: int) -> diffusers.UNet2DModel:
    """Three levels as ours, attention at the coarsest, widths that make as many weights."""
    return diffusers.UNet2DModel(
        in_channels=3 + classes, out_channels=3, layers_per_block=1, block_out_channels=(32, 72, 136),
        down_block_types=("DownBlock2D", "DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D", "UpBlock2D"), norm_num_groups=8,
    )  # fmt: skip


def one_hot(maps: torch.Tensor, classes: int = CLASSES) -> torch.Tensor:
    """Label maps uint8 [B, H, W] as float32 [B, classes, H, W]; nothing where there is no label."""
    known = torch.where(maps == IGNORE_INDEX, classes, maps.long())
    return F.one_hot(known, classes + 1)[..., :classes].movedim(-1, 1).float()


def own_generator(net: SemanticUNet, maps: np.ndarray, device: torch.device, dtype: torch.dtype | None):
    """`surgaug synthesize`'s own generator, of a network that was never trained."""
    model = LoadedModel(net, SPACE, Schedule().to_dict(), "x0", maps.shape[1:], "")
    return lambda sampler, steps: sampling(model, SamplingSettings(sampler, steps), maps, device, dtype)


def sampling(
    model: LoadedModel, settings: SamplingSettings, maps: np.ndarray, device: torch.device, dtype: torch.dtype | None
) -> Callable[[], int]:
    generator = (CascadeGenerator if model.stages else DiffusionGenerator)(model, settings, device, dtype)
    rng = np.random.default_rng(0)

    def run() -> int:
        generator.forget()
        noise = functools.cache(lambda i, shape: rng.standard_normal((len(maps), *shape), dtype=np.float32))
        return len(generator.generate(list(maps), range(len(maps)), noise))

    return run


def ddim(
    maps: np.ndarray,
    device: torch.device,
    dtype: torch.dtype | None,
    prepare: Callable[[torch.Tensor], torch.Tensor],
    predict: Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor],
) -> Callable[[], int]:
    """A batch of `maps` a turn. prepare(maps): once a batch. predict(x, t, prepared): in every step."""

    @torch.inference_mode()
    def run() -> int:
        prepared = prepare(torch.from_numpy(maps).to(device))

        def noise(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
            with autocast(device, dtype):
                return predict(x.to(memory_format=torch.channels_last), t, prepared)

        return len(to_images(sampled(torch.randn(len(maps), 3, *maps.shape[1:], device=device), noise)))

    return run


def sampled(x: torch.Tensor, predict: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> torch.Tensor:
    """The loop of diffusers' documentation: from noise x [B, 3, H, W] to images, by what noise is predicted in them."""
    scheduler = diffusers.DDIMScheduler(num_train_timesteps=1000)
    scheduler.set_timesteps(STEPS)
    for t in scheduler.timesteps:
        x = scheduler.step(predict(x, t).float(), t, x).prev_sample
    return x


def training(net: nn.Module, maps: np.ndarray, device: torch.device, dtype: torch.dtype | None, forward):
    """Five optimizer steps of the mean squared error."""
    optimizer = torch.optim.AdamW(net.parameters(), 1e-4, fused=device.type != "mps")

    def run() -> int:
        labels = torch.from_numpy(maps).to(device)
        for _ in range(5):
            x = torch.randn(len(maps), 3, *maps.shape[1:], device=device).to(memory_format=torch.channels_last)
            with autocast(device, dtype):
                out = forward(x, torch.rand(len(maps), device=device), labels)
            (out.float() - x).square().mean().backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return 5 * len(maps)

    return run


def engine(scenes: list[np.ndarray], n: int = 40) -> Callable[[], int]:
    """Our usual mix, in one process, learnt beforehand as `augment-masks` does."""
    real = Given(scenes, [str(k) for k in range(len(scenes))], SPACE)
    made = build(Engine(SPACE, Perturbation()), real, 0, 1, Silent())
    known = [made.scene(label_map) for label_map in scenes]
    turn = iter(range(10**9))

    def run() -> int:
        for _ in range(n):
            k = next(turn)
            made.make(known[k % len(known)], k % len(known), sample_rng(0, k))
        return n

    return run


def warps(scenes: list[np.ndarray], n: int = 40) -> Callable[[], int]:
    import albumentations  # the other rows do without it

    nearest = {"interpolation": cv2.INTER_NEAREST, "mask_interpolation": cv2.INTER_NEAREST}
    compose = albumentations.Compose(
        [
            albumentations.HorizontalFlip(p=0.5),
            albumentations.Affine(
                scale=(0.85, 1.15), translate_percent=(-0.08, 0.08), rotate=(-15, 15), p=1, **nearest
            ),
            albumentations.ElasticTransform(alpha=100, sigma=20, p=1, **nearest),
        ],
        seed=0,
    )
    turn = iter(range(10**9))

    def run() -> int:
        for _ in range(n):
            compose(image=scenes[next(turn) % len(scenes)])
        return n

    return run


if __name__ == "__main__":
    main()
