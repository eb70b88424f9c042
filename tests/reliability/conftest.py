"""A handful of phantom frames, a small untrained network, every command that writes, and a disk that fills up."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from surgaug import cli
from surgaug.diffusion.schedules import Schedule
from surgaug.io.atomic import write_png
from surgaug.labels.builtin_spaces import load_space
from surgaug.models.checkpoint import save_model
from surgaug.models.unet import SemanticUNet, UNetConfig
from surgaug.phantom import render

FRAMES, SIZE = 6, (16, 28)
NETWORK = {
    "channels": (16, 32), "encoder_blocks": (1, 1), "decoder_blocks": (1, 1), "attention": (False, True),
    "spade": (True, True), "spade_hidden": 8, "label_channels": 4, "head_dim": 16, "noise_dim": 32,
}  # fmt: skip
TINY = [
    part
    for name, value in NETWORK.items()
    for part in ("--set", f"network.{name}={','.join(map(str, value)) if isinstance(value, tuple) else value}")
]


@pytest.fixture(scope="session")
def frames(tmp_path_factory) -> Path:
    """images/ and labels/ of `FRAMES` phantom frames; not to be changed."""
    root = tmp_path_factory.mktemp("frames")
    for folder in ("images", "labels"):
        (root / folder).mkdir()
    for seed in range(FRAMES):
        image, label_map = render(seed, (32, 56))
        write_png(root / "images" / f"f{seed}.png", image)
        write_png(root / "labels" / f"f{seed}.png", label_map)
    return root


@pytest.fixture(scope="session")
def model_file(tmp_path_factory) -> Path:
    """An untrained model of CaDIS's classes."""
    path, space, config = (
        tmp_path_factory.mktemp("model") / "last.safetensors",
        load_space("cadis"),
        UNetConfig(**NETWORK),
    )
    torch.manual_seed(0)
    save_model(
        path, SemanticUNet(config, space.num_classes).state_dict(), config=config, space=space,
        schedule=Schedule().to_dict(), prediction="v", size=SIZE, defaults={"steps": 2}, meta={},
    )  # fmt: skip
    return path


@pytest.fixture
def lines(frames, model_file):
    """The command lines of each subcommand that writes, by name: `lines("train", out)`."""

    def line(name: str, out: Path, *more: str) -> list[str]:
        data, masks = str(frames), str(frames / "labels")
        return {
            "train": ["train", "--data", data, "--classes", "cadis", "--out", str(out), "--size", "16x28",
                      "--batch", "2", "--steps", "4", "--device", "cpu", *TINY],
            "synthesize": ["synthesize", "--masks", masks, "--classes", "cadis", "--model", str(model_file),
                           "--out", str(out), "--n", "60", "--steps", "2", "--batch", "4", "--device", "cpu"],
            "augment-masks": ["augment-masks", "--masks", masks, "--classes", "cadis", "--out", str(out), "--n", "60",
                              "--workers", "1"],
            "export": ["export", "--data", data, "--classes", "cadis", "--layout", "hf", "--out", str(out)],
            "score": ["score", "--real", data, "--synth", data, "--metrics", "psnr", "--json", str(out)],
        }[name] + list(more)  # fmt: skip

    return line


@pytest.fixture
def run(capfd):
    """Run a command line in this process: (exit code, standard output, standard error)."""

    def run(line: list[str]) -> tuple[int, str, str]:
        capfd.readouterr()
        code = cli.run(line)
        said = capfd.readouterr()
        assert "Traceback" not in said.err
        return code, said.out, said.err

    return run


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """A file system of 256 KiB; `mount -o remount,...` changes it."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if (
        shutil.which("mount") is None
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)], capture_output=True
        ).returncode
    ):
        pytest.skip("mounting a small file system needs root")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)
