"""What a GPU does with this program, in at most eight minutes: one JSON and one table.

    python benchmarks/gpu.py OUT [--device cuda] [--minutes 8] [--data DATA]
    python benchmarks/gpu.py OUT --device cpu --reduced        (to see that the script works, without a GPU)

In this order, each part only if it fits into the minutes that are left (what was left out is listed):

- `peak`: a large matrix product and a large copy, the machine's own measure (`benchmarks/speed.py`).
- `passes`: one optimizer step and one call of sampling, of `tiny`, `small` and `base` at 64x112, 256x448 and 540x960:
  images a second, share of the measured peak, GiB of memory; the batch is halved until it fits.
- `compiled`: for a network of each kind of size the same compiled, sampling also with CUDA graphs
  (`mode="reduce-overhead"`), with the seconds that compiling took.
- `tests`: those marked `gpu`, against the CPU's numbers in fp32, bf16 and fp16, and out-of-memory recovery.
- `loop`: `train` as it stands, on phantom scenes or DATA, batch by batch from the loader: images a second beside those
  of the bare pass, which is what the loader and the loop cost.
- `synthesize` as it stands, with the batch that it finds.

Writes OUT/gpu.json and OUT/gpu.md.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from frames import write_frames
from speed import CLASSES, Timer, cost, make_passes, make_peaks

from surgaug.io.atomic import write_text
from surgaug.models.families.diffusion import PRESETS, build
from surgaug.models.model_files import SHIPPED
from surgaug.runtime.device import is_out_of_memory, pick_device, pick_precision

ROOT = Path(__file__).resolve().parents[1]
NETWORKS, SIZES = ("tiny", "small", "base"), ((64, 112), (256, 448), (540, 960))
COMPILED = (("small", (64, 112)), ("base", (256, 448)))
PIXELS = 1 << 21  # of a first batch
TEST_MINUTES = 2.5


class Clock:
    """How much of the minutes is left; what did not fit is listed."""

    def __init__(self, minutes: float):
        self._end, self.left_out = time.monotonic() + 60 * minutes, list[str]()

    def has(self, seconds: float, name: str) -> bool:
        """Whether so many seconds are left for `name`."""
        fits = self.left > seconds
        if not fits:
            self.left_out.append(name)
        return fits

    @property
    def left(self) -> float:
        """Seconds."""
        return self._end - time.monotonic()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--data", type=Path, help="a data set to train on [default: phantom scenes]")
    parser.add_argument("--reduced", action="store_true", help="one small network at one small size, no tests")
    options = parser.parse_args()
    device, clock = pick_device(options.device), Clock(options.minutes)
    found = measure(options, device, clock)
    write_text(options.out / "gpu.json", json.dumps(found, indent=1) + "\n")
    write_text(options.out / "gpu.md", table(found))
    print(table(found))


def measure(options: argparse.Namespace, device: torch.device, clock: Clock) -> dict[str, Any]:
    """All parts that fit."""
    dtype = pick_precision("auto", device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{torch.get_num_threads()} CPU threads"
    found: dict[str, Any] = {"device": name, "torch": torch.__version__, "precision": str(dtype or torch.float32)[6:]}
    options.out.mkdir(parents=True, exist_ok=True)
    networks, sizes = (("tiny",), ((16, 28),)) if options.reduced else (NETWORKS, SIZES)
    seconds = 0.2 if options.reduced else 1.0

    timer = Timer(device, seconds)
    peaks = make_peaks(device, dtype) if not options.reduced else {"product": small_product(device)}
    times = timer({name: run for name, (run, _) in peaks.items()})
    found["peak"] = {name: amount / min(times[name]) for name, (_, amount) in peaks.items()}

    found["passes"] = []
    for network in networks:
        for size in sizes:
            if clock.has(60, f"{network} at {size[0]}x{size[1]}"):
                found["passes"] += passes(network, size, device, dtype, timer, found["peak"]["product"])
    found["compiled"] = []
    for network, size in COMPILED if not options.reduced else ():
        if clock.has(150 + 60 * TEST_MINUTES, f"{network} at {size[0]}x{size[1]}, compiled"):
            found["compiled"] += compiled_passes(network, size, device, dtype, timer)
    if not options.reduced and clock.has(60 * TEST_MINUTES, "tests"):
        found["tests"] = run_tests(options.device, min(60 * TEST_MINUTES, clock.left))
    data = options.data or phantom(options.out / "frames", options.reduced)
    if clock.has(30, "loop"):
        found["loop"] = run_loop(data, options, min(40.0, clock.left - 20))
    if clock.has(20, "synthesize"):
        found["synthesize"] = run_synthesize(data, options)
    return found | {"left out": clock.left_out}


def small_product(device: torch.device) -> tuple[Callable[[], Any], float]:
    """As of `make_peaks`, in a moment."""
    a = torch.randn(256, 256, device=device)
    return (lambda: torch.mm(a, a)), 2.0 * 256**3


def passes(
    network: str, size: tuple[int, int], device: torch.device, dtype: torch.dtype | None, timer: Timer, peak: float
) -> list[dict[str, Any]]:
    """A row for training and one for sampling, at the largest batch that fits."""
    rows = []
    batch = max(1, PIXELS // (size[0] * size[1])) if device.type == "cuda" else 1
    for label in ("train", "sample"):
        while True:
            try:
                if device.type == "cuda":
                    torch.cuda.reset_peak_memory_stats(device)
                run = make_passes(build(PRESETS[network], CLASSES), size, batch, device, dtype)[label]
                flops, _ = cost(run)
                second = statistics.median(timer({label: run})[label])
                break
            except RuntimeError as error:
                if not is_out_of_memory(error) or batch == 1:
                    raise
            batch //= 2  # outside the handler, whose traceback holds on to what filled the memory
        held = torch.cuda.max_memory_allocated(device) / 2**30 if device.type == "cuda" else None
        rows.append({
            "pass": label, "network": network, "size": list(size), "batch": batch, "images/s": batch / second,
            "GFLOP an image": flops / batch / 1e9, "of peak": flops / second / peak, "GiB": held,
        })  # fmt: skip
    return rows


def compiled_passes(
    network: str, size: tuple[int, int], device: torch.device, dtype: torch.dtype | None, timer: Timer
) -> list[dict[str, Any]]:
    """Training and sampling, compiled as `--compile on` does, and sampling with CUDA graphs."""
    rows = []
    batch = max(1, PIXELS // 2 // (size[0] * size[1]))
    for label, mode in (("train", "default"), ("sample", "default"), ("sample", "reduce-overhead")):
        net = build(PRESETS[network], CLASSES)
        net.forward = torch.compile(net.forward, mode=mode)
        run = make_passes(net, size, batch, device, dtype)[label]
        begun = time.perf_counter()
        for _ in range(3):
            run()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        warm = time.perf_counter() - begun
        second = statistics.median(timer({label: run})[label])
        rows.append({
            "pass": label, "network": network, "size": list(size), "batch": batch, "mode": mode,
            "images/s": batch / second, "seconds to compile": warm,
        })  # fmt: skip
        torch._dynamo.reset()
    return rows


def run_tests(device: str, seconds: float) -> dict[str, Any]:
    """Those marked `gpu`, and how they ended."""
    environment = os.environ | {"SURGAUG_GPU_TESTS": device, "PYTHONPATH": str(ROOT)}
    line = [sys.executable, "-m", "pytest", "-n", "0", "-q", "-m", "gpu", "-p", "no:cacheprovider", "tests/gpu"]
    try:
        done = subprocess.run(line, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        return {"ended": f"not within {seconds:.0f} s"}
    said = done.stdout.strip().splitlines()
    return {"ended": said[-1] if said else done.stderr[-500:], "failed": [s for s in said if s.startswith("FAILED")]}


def phantom(folder: Path, reduced: bool) -> Path:
    """Drawn scenes to train on."""
    n, size = (20, (16, 28)) if reduced else (64, (256, 448))
    write_frames("phantom", folder, n, 4, size)
    return folder


def command(line: list[str]) -> str:
    """Run the program; what it said."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-m", "surgaug", *line], env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"surgaug {' '.join(line)}: {done.stderr}")
    return done.stderr


def run_loop(data: Path, options: argparse.Namespace, seconds: float) -> dict[str, Any]:
    """`train` in one stage at the size of the frames; the median rate of its rows."""
    preset, size, minutes = ("tiny", "16x28", 0.2) if options.reduced else ("small", "256x448", seconds / 60)
    out = options.out / "run"
    line = ["train", "--data", str(data), "--preset", preset, "--size", size, "--cascade", "off", "--out", str(out)]
    line += ["--init", "none", "--minutes", str(minutes), "--device", options.device, "--compile", "off"]
    command([*line, "--set", "sample_minutes=60"])
    with (out / "metrics.csv").open(newline="") as file:
        rates = [float(row["images_per_s"]) for row in csv.DictReader(file) if row["images_per_s"]]
    return {"preset": preset, "size": size, "images/s": statistics.median(rates) if rates else None}


def run_synthesize(data: Path, options: argparse.Namespace) -> dict[str, Any]:
    """`synthesize` with the model that ships, from its start to its end."""
    n = 2 if options.reduced else 512
    line = [
        "synthesize",
        "--masks",
        str(data),
        "--model",
        str(SHIPPED),
        "--n",
        str(n),
        "--out",
        str(options.out / "set"),
    ]
    begun = time.perf_counter()
    command([*line, "--device", options.device, "--size", "base", *(["--steps", "2"] if options.reduced else [])])
    seconds = time.perf_counter() - begun
    return {"images": n, "seconds": seconds, "images/s": n / seconds}


def table(found: dict[str, Any]) -> str:
    """The findings in Markdown."""
    peak = " | ".join(f"{name} {value / 1e9:,.0f} G a second" for name, value in found["peak"].items())
    lines = [f"{found['device']}, torch {found['torch']}, {found['precision']}; peak: {peak}", ""]
    lines += [
        "| pass | network | size | batch | GFLOP an image | images/s | of peak | GiB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in found["passes"]:
        held = "" if row["GiB"] is None else f"{row['GiB']:.1f}"
        lines.append(
            f"| {row['pass']} | {row['network']} | {row['size'][0]}x{row['size'][1]} | {row['batch']} "
            f"| {row['GFLOP an image']:.1f} | {row['images/s']:,.1f} | {row['of peak']:.0%} | {held} |"
        )
    for row in found["compiled"]:
        lines.append(
            f"| {row['pass']}, compiled ({row['mode']}, {row['seconds to compile']:.0f} s) | {row['network']} "
            f"| {row['size'][0]}x{row['size'][1]} | {row['batch']} | | {row['images/s']:,.1f} | | |"
        )
    lines.append("")
    for part in ("tests", "loop", "synthesize"):
        if part in found:
            lines.append(f"- {part}: " + ", ".join(f"{key} {shown(value)}" for key, value in found[part].items()))
    lines.append(f"- left out: {', '.join(found['left out']) or 'nothing'}")
    return "\n".join(lines) + "\n"


def shown(value: Any) -> str:
    """A figure with three digits that count, or text."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
