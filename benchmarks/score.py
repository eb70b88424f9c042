"""Speed of `surgaug score`'s parts beside the tools one would use instead, on the same inputs, in one run.

    python benchmarks/score.py [--size HxW] [--images N] [--threads N] [--frames N]

PSNR and SSIM against a loop over scikit-image, Inception features against torch-fidelity's network with the same random
weights, FID and KID of two folders of PNG files against torch-fidelity's, and the Fréchet distance against scipy's
matrix root. Each line gives the largest difference of the results. With --frames N, `surgaug score` runs once more over
N frames on either side, and the largest memory that it held is said.
"""

from __future__ import annotations

import argparse
import itertools
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import scipy.linalg
import torch
import torch_fidelity
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from surgaug.models.checkpoint import file_hash
from surgaug.runtime.parallel import in_threads
from surgaug.scoring.compute.inception_network import InceptionV3
from surgaug.scoring.config import ScoreConfig, Weights
from surgaug.scoring.features import colour_texture, inception
from surgaug.scoring.metrics import frechet, psnr, ssim
from surgaug.scoring.run import run_score

WANG = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255, "channel_axis": -1}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="256x256", help="HxW")
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--inception-images", type=int, default=32)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--frames", type=int, default=0)
    options = parser.parse_args()
    height, width = map(int, options.size.split("x"))
    torch.set_num_threads(options.threads)
    cv2.setNumThreads(1)
    images = make_images(options.images + 1, (height, width))
    pairs = list(itertools.pairwise(images))

    lines = [
        compare(
            "SSIM, one thread",
            len(pairs),
            lambda: [ssim.compute(a, b) for a, b in pairs],
            "scikit-image",
            lambda: [structural_similarity(a, b, **WANG) for a, b in pairs],
        ),
        compare(
            "PSNR, one thread",
            len(pairs),
            lambda: [psnr.compute(a, b) for a, b in pairs],
            "scikit-image",
            lambda: [peak_signal_noise_ratio(a, b, data_range=255) for a, b in pairs],
        ),
        inception_line(images[: options.inception_images]),
        folders_line(images[: options.inception_images]),
        frechet_line(),
    ]
    if options.threads > 1:
        line = compare(
            f"SSIM, {options.threads} threads",
            len(pairs),
            lambda: list(in_threads(lambda pair: ssim.compute(*pair), pairs, options.threads)),
            "scikit-image",
            lambda: [structural_similarity(a, b, **WANG) for a, b in pairs],
        )
        lines.insert(1, line)
    start = time.perf_counter()
    for image in images:
        colour_texture.extract(image)
    rate = len(images) / (time.perf_counter() - start)
    print_table(
        lines, f"{height}x{width} pixels, {options.threads} threads; colour+texture: {rate:.0f} images/s, one thread"
    )
    if options.frames:
        sys.stdout.write(memory(options.frames, (height, width)) + "\n")


def make_images(n: int, hw: tuple[int, int]) -> list[np.ndarray]:
    """Smooth scenes with noise, uint8 [H, W, 3]."""
    rng = np.random.default_rng(0)
    scenes = (cv2.resize(rng.random((9, 16, 3)), hw[::-1], interpolation=cv2.INTER_CUBIC) * 255 for _ in range(n))
    return [np.clip(scene + rng.normal(0, 6, scene.shape), 0, 255).astype(np.uint8) for scene in scenes]


def stand_in(folder: Path) -> Path:
    """A weight file of the published layout with random numbers in it."""
    torch.manual_seed(0)
    network = InceptionV3()
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight)
    path = folder / inception.FILE_NAME
    torch.save(network.state_dict(), path, _use_new_zipfile_serialization=False)
    return path


def inception_line(images: list[np.ndarray]) -> list[str]:
    batch = np.stack(images)
    with tempfile.TemporaryDirectory() as folder:
        path = stand_in(Path(folder))
        theirs = FeatureExtractorInceptionV3("inception", ["2048"], feature_extractor_weights_path=str(path))
        ours = inception.Extractor(inception.read_network(path), "legacy", torch.device("cpu"))
    tensor = torch.from_numpy(batch).permute(0, 3, 1, 2).contiguous()

    def run_theirs() -> np.ndarray:
        with torch.inference_mode():
            return np.concatenate([theirs(part)[0].numpy() for part in tensor.split(16)])

    def run_ours() -> np.ndarray:
        return np.concatenate([ours(batch[i : i + 16]) for i in range(0, len(batch), 16)])

    return compare("Inception features", len(images), run_ours, "torch-fidelity", run_theirs, relative=True)


def folders_line(images: list[np.ndarray]) -> list[str]:
    """FID and KID from PNG files, everything included: each image once in one folder, blurred in the other."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = stand_in(folder)
        inception.SHA256 = file_hash(path)  # the stand-in is taken for the published file
        for side, sigma in (("real", 0.1), ("synth", 2.0)):
            (folder / side).mkdir()
            for i, image in enumerate(images):
                cv2.imwrite(str(folder / side / f"{i}.png"), cv2.GaussianBlur(image, (0, 0), sigma)[..., ::-1])
        config = ScoreConfig(
            folder / "real",
            (folder / "synth",),
            metrics=("fid", "kid"),
            weights=Weights(path),
            device="cpu",
            draws=2,
            cache=False,
        )

        def run_ours() -> list[float]:
            measures = run_score(config).rows[0].measures
            return [measures["fid"].value, measures["kid"].value]

        def run_theirs() -> list[float]:
            found = torch_fidelity.calculate_metrics(
                input1=str(folder / "synth"),
                input2=str(folder / "real"),
                fid=True,
                kid=True,
                kid_subsets=1,
                kid_subset_size=len(images),
                feature_extractor_weights_path=str(path),
                cuda=False,
                batch_size=16,
                cache=False,
                verbose=False,
            )
            return [found["frechet_inception_distance"], found["kernel_inception_distance_mean"]]

        return compare(
            "FID and KID of folders", 2 * len(images), run_ours, "torch-fidelity", run_theirs, relative=True, repeats=1
        )


def memory(frames: int, hw: tuple[int, int]) -> str:
    """Score `frames` files on either side in a process of its own, and say the most memory that it held."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        few = make_images(50, hw)
        rng = np.random.default_rng(0)
        for side in ("real", "synth"):
            (folder / side).mkdir()
            for i in range(frames):
                image = np.roll(few[i % 50], int(rng.integers(64)), axis=1)
                cv2.imwrite(str(folder / side / f"{side}{i}.png"), image)
        line = [sys.executable, "-m", "surgaug", "score", "--no-cache", "-q"]
        start = time.perf_counter()
        subprocess.run([*line, "--real", str(folder / "real"), "--synth", str(folder / "synth")], check=True)
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        return f"{frames} frames of {hw[0]}x{hw[1]} a side: {time.perf_counter() - start:.0f} s, at most {peak:.0f} MiB"


def frechet_line() -> list[str]:
    rng = np.random.default_rng(0)
    mix = rng.normal(size=(512, 512)) / 20
    x, y = rng.normal(size=(2000, 512)), rng.normal(0.1, 1, (2000, 512)) @ mix

    def by_root() -> list[float]:
        cov_x, cov_y = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
        root = scipy.linalg.sqrtm(cov_x @ cov_y).real
        return [float(np.square(x.mean(0) - y.mean(0)).sum() + np.trace(cov_x + cov_y - 2 * root))]

    name = "Fréchet, 2 x 2000 x 512"
    return compare(name, 1, lambda: [frechet.compute(x, y)], "scipy sqrtm", by_root, relative=True)


def compare(
    name: str, n: int, ours: Callable, other: str, theirs: Callable, *, relative: bool = False, repeats: int = 3
) -> list[str]:
    """One line of the table. The two take turns, so that a busy machine slows both; the best time of each counts."""
    best = {"ours": np.inf, "theirs": np.inf}
    results = {}
    for _ in range(repeats):
        for key, work in (("ours", ours), ("theirs", theirs)):
            start = time.perf_counter()
            results[key] = np.asarray(work())
            best[key] = min(best[key], time.perf_counter() - start)
    difference = np.abs(results["ours"] - results["theirs"]).max() / (
        np.abs(results["theirs"]).max() if relative else 1
    )
    rates = [f"{n / best[key]:.1f}" for key in ("ours", "theirs")]
    return [name, rates[0], other, rates[1], f"{best['theirs'] / best['ours']:.2f}", f"{difference:.1e}"]


def print_table(lines: list[list[str]], caption: str) -> None:
    table = [["what", "surgaug /s", "beside", "its /s", "times faster", "difference"], *lines]
    widths = [max(len(line[i]) for line in table) for i in range(len(table[0]))]
    for line in table:
        sys.stdout.write("  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip() + "\n")
    sys.stdout.write(caption + "\n")


if __name__ == "__main__":
    main()
