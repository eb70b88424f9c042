"""Speed of `surgaug score`'s parts beside the tools one would use instead, on the same inputs, in one run.

    python benchmarks/score.py [--size HxW] [--images N] [--threads N]

PSNR and SSIM against a loop over scikit-image, Inception features against torch-fidelity's network with the same random
weights, and the Fréchet distance against scipy's matrix root. Each line gives the largest difference of the results.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import scipy.linalg
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from surgaug.scoring.features import colour_texture, inception
from surgaug.scoring.images import in_order
from surgaug.scoring.metrics import frechet, psnr, ssim

WANG = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255, "channel_axis": -1}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="256x256", help="HxW")
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--inception-images", type=int, default=32)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
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
        frechet_line(),
    ]
    if options.threads > 1:
        line = compare(
            f"SSIM, {options.threads} threads",
            len(pairs),
            lambda: list(in_order(lambda pair: ssim.compute(*pair), pairs, options.threads)),
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


def make_images(n: int, hw: tuple[int, int]) -> list[np.ndarray]:
    """Smooth scenes with noise, uint8 [H, W, 3]."""
    rng = np.random.default_rng(0)
    scenes = (cv2.resize(rng.random((9, 16, 3)), hw[::-1], interpolation=cv2.INTER_CUBIC) * 255 for _ in range(n))
    return [np.clip(scene + rng.normal(0, 6, scene.shape), 0, 255).astype(np.uint8) for scene in scenes]


def inception_line(images: list[np.ndarray]) -> list[str]:
    torch.manual_seed(0)
    network = inception.InceptionV3()
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight)
    batch = np.stack(images)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / inception.FILE_NAME
        torch.save(network.state_dict(), path, _use_new_zipfile_serialization=False)
        theirs = FeatureExtractorInceptionV3("inception", ["2048"], feature_extractor_weights_path=str(path))
        ours = inception.Extractor(inception.load(path), "legacy", torch.device("cpu"))
    tensor = torch.from_numpy(batch).permute(0, 3, 1, 2).contiguous()

    def run_theirs() -> np.ndarray:
        with torch.inference_mode():
            return np.concatenate([theirs(part)[0].numpy() for part in tensor.split(16)])

    def run_ours() -> np.ndarray:
        return np.concatenate([ours(batch[i : i + 16]) for i in range(0, len(batch), 16)])

    return compare("Inception features", len(images), run_ours, "torch-fidelity", run_theirs, relative=True)


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
