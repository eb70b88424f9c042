"""What a GPU does with this program, in at most eight minutes: one JSON and one table.

    python benchmarks/gpu.py OUT [--device cuda] [--minutes 8] [--data DATA]
    python benchmarks/gpu.py OUT --device cpu --reduced        (to see that the script works, without a GPU)

In this order, each part only if it fits into the minutes that are left (what was left out is listed):

- `peak`: a large matrix product and a large copy, the machine's own measure (`benchmarks/speed.py`).
- `passes`: one optimizer step and one call of sampling, of `tiny`, `small` and `base` at 64x112, 256x448 and 540x960:
  images a second, share of the measured peak, GiB of memory; the batch is halved until it fits.
- `compiled`: for a network of each kind of size the same compiled, sampling also with CUDA graphs
  (`mode="reduce-overhead"`), with the seconds that compiling took.
- `tests`: those marked `gpu`, against the CPU's numbers in fp32, bf16 and fp16, and out-of-memory recovery; those that
  compile come last.
- `loop`: `train` as it stands, on phantom scenes or DATA, batch by batch from the loader: images a second beside those
  of the bare pass, which is what the loader and the loop cost.
- `synthesize` as it stands, with the batch that it finds.

Writes OUT/gpu.json and OUT/gpu.md, anew after each part. A part that fails is listed with its error, and the next one
begins. What may hang (the compiler, the tests, `train`, `synthesize`) runs in a process of its own, which is ended when
its time is over; what it had found until then is kept.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
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
from surgaug.runtime.options import parse_size

ROOT = Path(__file__).resolve().parents[1]
NETWORKS, SIZES = ("tiny", "small", "base"), ((64, 112), (256, 448), (540, 960))
PASSES = ("train", "sample")
COMPILED = (("small", (64, 112)), ("base", (256, 448)))
PIXELS = 1 << 21  # of a first batch
LEAST = 30.0  # seconds that must be left for any part
COMPILING = 60.0, 150.0  # seconds that a compiled network is given, at least and at most
TESTS, LOOP, SYNTHESIZE = 120.0, 60.0, 40.0  # seconds that these are given


class Unfinished(Exception):
    """A part that broke off. `rows`: what it had found until then."""

    def __init__(self, why: str, rows: list[dict[str, Any]]):
        super().__init__(why)
        self.rows = rows


class Report:
    """What was found, in OUT/gpu.json and OUT/gpu.md after each part, and how much of the minutes is left."""

    def __init__(self, out: Path, minutes: float, about: dict[str, Any]):
        self._out, self._end = out, time.monotonic() + 60 * minutes
        self.found: dict[str, Any] = {
            **about, "peak": {}, "passes": [], "compiled": [], "failed": {}, "left out": []
        }  # fmt: skip

    @property
    def left(self) -> float:
        """Seconds."""
        return self._end - time.monotonic()

    def part(self, key: str, name: str, seconds: float, run: Callable[..., Any], *given: Any) -> None:
        """`run(*given)`, if more than so many seconds are left. What it returns is found under `key`: rows, in a list,
        behind those that are there. Where it fails, that is found."""
        if self.left > seconds:
            try:
                self._keep(key, run(*given))
            except (Exception, SystemExit) as error:
                self._keep(key, getattr(error, "rows", None))
                self.found["failed"][name] = f"{type(error).__name__}: {error}"[:1000]
        else:
            self.found["left out"].append(name)
        write_text(self._out / "gpu.json", json.dumps(self.found, indent=1) + "\n")
        write_text(self._out / "gpu.md", table(self.found))

    def _keep(self, key: str, result: Any) -> None:
        if isinstance(result, list):
            self.found[key] += result
        elif result is not None:
            self.found[key] = result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--data", type=Path, help="a data set to train on [default: phantom scenes]")
    parser.add_argument("--reduced", action="store_true", help="one small network at one small size, no tests")
    parser.add_argument("--compiled", metavar="NETWORK:HxW", help="this network alone, compiled; a row of JSON a line")
    options = parser.parse_args()
    device = pick_device(options.device)
    if options.compiled:
        network, _, size = options.compiled.partition(":")
        for row in compiled_passes(network, parse_size(size), device):
            print(json.dumps(row), flush=True)
        return
    options.out = options.out.resolve()
    options.out.mkdir(parents=True, exist_ok=True)
    print(table(measure(options, device)))


def measure(options: argparse.Namespace, device: torch.device) -> dict[str, Any]:
    """All parts that fit."""
    dtype, reduced = pick_precision("auto", device), options.reduced
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{torch.get_num_threads()} CPU threads"
    about = {"device": name, "torch": torch.__version__, "precision": str(dtype or torch.float32)[6:]}
    report = Report(options.out, options.minutes, about)
    networks, sizes = (("tiny",), ((16, 28),)) if reduced else (NETWORKS, SIZES)
    timer = Timer(device, 0.2 if reduced else 1.0)

    report.part("peak", "peak", 0.0, peak, device, dtype, timer, reduced)
    product = report.found["peak"].get("product")
    for network in networks:
        for size in sizes:
            for label in PASSES:
                part = f"{label}, {network} at {size[0]}x{size[1]}"
                report.part("passes", part, LEAST, one_pass, label, network, size, device, dtype, timer, product)
    if device.type == "cuda":
        torch.cuda.empty_cache()  # other processes need it now
    if not reduced:
        after, (least, most) = TESTS + LOOP + SYNTHESIZE, COMPILING
        for network, size in COMPILED:
            part, seconds = f"{network} at {size[0]}x{size[1]}, compiled", min(most, report.left - after)
            report.part("compiled", part, after + least, compiled, network, size, options.device, seconds)
        after, seconds = LOOP + SYNTHESIZE, min(TESTS, report.left - LOOP - SYNTHESIZE)
        report.part("tests", "tests", after + LEAST, run_tests, options.device, seconds)
    data = options.data or options.out / "frames"
    if not options.data:
        report.part("frames", "frames", LEAST, phantom, data, reduced)
    seconds = report.left if reduced else max(LEAST, min(LOOP, report.left - SYNTHESIZE))
    report.part("loop", "loop", LEAST, run_loop, data, options, seconds)
    report.part("synthesize", "synthesize", LEAST, run_synthesize, data, options, report.left)
    return report.found


def peak(device: torch.device, dtype: torch.dtype | None, timer: Timer, reduced: bool) -> dict[str, float]:
    """FLOPs and bytes a second; in reduced form of a product that takes a moment."""
    if reduced:
        a = torch.randn(256, 256, device=device)
        peaks: dict[str, tuple[Callable[[], Any], float]] = {"product": (lambda: torch.mm(a, a), 2.0 * 256**3)}
    else:
        peaks = make_peaks(device, dtype)
    times = timer({name: run for name, (run, _) in peaks.items()})
    return {name: amount / min(times[name]) for name, (_, amount) in peaks.items()}


def one_pass(
    label: str,
    network: str,
    size: tuple[int, int],
    device: torch.device,
    dtype: torch.dtype | None,
    timer: Timer,
    product: float | None,
) -> list[dict[str, Any]]:
    """A row, at the largest batch that fits. product: the peak, in FLOPs a second; None where it is not known."""
    batch = max(1, PIXELS // (size[0] * size[1])) if device.type == "cuda" else 1
    while True:
        run = None  # what filled the memory at the last try
        before = torch.cuda.memory_allocated(device) if device.type == "cuda" else 0
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
    held = (torch.cuda.max_memory_allocated(device) - before) / 2**30 if device.type == "cuda" else None
    return [{
        "pass": label, "network": network, "size": list(size), "batch": batch, "images/s": batch / second,
        "GFLOP an image": flops / batch / 1e9, "of peak": flops / second / product if product else None, "GiB": held,
    }]  # fmt: skip


def compiled(network: str, size: tuple[int, int], device: str, seconds: float) -> list[dict[str, Any]]:
    """The rows of `compiled_passes`, which runs in a process of its own."""
    asked = f"{network}:{size[0]}x{size[1]}"
    line = [sys.executable, str(Path(__file__).resolve()), ".", "--device", device, "--compiled", asked]
    said, why = limited(line, seconds)
    rows = [json.loads(row) for row in said.splitlines() if row.startswith("{")]
    if why:
        raise Unfinished(why, rows)
    return rows


def compiled_passes(network: str, size: tuple[int, int], device: torch.device) -> Iterator[dict[str, Any]]:
    """Training and sampling, compiled as `--compile on` does, and sampling with CUDA graphs."""
    dtype, timer = pick_precision("auto", device), Timer(device, 1.0)
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
        yield {
            "pass": label, "network": network, "size": list(size), "batch": batch, "mode": mode,
            "images/s": batch / second, "seconds to compile": warm,
        }  # fmt: skip
        torch._dynamo.reset()


def limited(line: list[str], seconds: float, **environment: str) -> tuple[str, str | None]:
    """Run a program. What it said on stdout, and why it did not end well (None: it did). When so many seconds are over
    it is ended, with all that it has started."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **environment}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen(line, cwd=ROOT, env=environment, text=True, start_new_session=True, **pipes)
    try:
        said, errors = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return process.communicate()[0], f"not done within {seconds:.0f} s"
    except KeyboardInterrupt:  # which the others did not hear of
        os.killpg(process.pid, signal.SIGKILL)
        raise
    return said, f"exit code {process.returncode}: {errors.strip()[-500:]}" if process.returncode else None


def run_tests(device: str, seconds: float) -> dict[str, Any]:
    """Those marked `gpu`, and how they ended, as far as they came."""
    line = [sys.executable, "-m", "pytest", "-n", "0", "-v", "-m", "gpu", "-p", "no:cacheprovider", "tests/gpu"]
    said, why = limited(line, seconds, SURGAUG_GPU_TESTS=device)
    results = re.findall(r"^tests/\S*::(\S+) (PASSED|FAILED|ERROR|SKIPPED)", said, re.MULTILINE)
    if why and not results:
        raise RuntimeError(f"{why}\n{said[-500:]}")
    found = {how.lower(): [name for name, ended in results if ended == how] for how in ("FAILED", "ERROR")}
    counts = {how.lower(): sum(ended == how for _, ended in results) for how in ("PASSED", "SKIPPED")}
    late = why and why.startswith("not done")
    return {"ended": why if late else said.strip().splitlines()[-1].strip("= "), **counts, **found}


def phantom(folder: Path, reduced: bool) -> None:
    """Drawn scenes to train on."""
    n, size = (20, (16, 28)) if reduced else (64, (256, 448))
    write_frames("phantom", folder, n, 4, size)


def run_loop(data: Path, options: argparse.Namespace, seconds: float) -> dict[str, Any]:
    """`train` in one stage at the size of the frames; the median rate of its rows, also where it is ended early."""
    preset, size, minutes = ("tiny", "16x28", 0.2) if options.reduced else ("small", "256x448", seconds / 60 / 2)
    out = options.out / "run"
    line = ["train", "--data", str(data), "--preset", preset, "--size", size, "--cascade", "off", "--out", str(out)]
    line += ["--init", "none", "--minutes", str(minutes), "--device", options.device, "--compile", "off"]
    why = limited([sys.executable, "-m", "surgaug", *line, "--set", "sample_minutes=60"], seconds)[1]
    rates = []
    if (out / "metrics.csv").is_file():
        with (out / "metrics.csv").open(newline="") as file:
            rates = [float(row["images_per_s"]) for row in csv.DictReader(file) if row["images_per_s"]]
    if why and not rates:
        raise RuntimeError(f"train: {why}")
    found = {"preset": preset, "size": size, "images/s": statistics.median(rates) if rates else None}
    return found | ({"ended": why} if why else {})


def run_synthesize(data: Path, options: argparse.Namespace, seconds: float) -> dict[str, Any]:
    """`synthesize` with the model that ships, from its start to its end."""
    n = 2 if options.reduced else 512
    line = ["synthesize", "--masks", str(data), "--model", str(SHIPPED), "--n", str(n), "--out"]
    line += [str(options.out / "set"), "--device", options.device, "--size", "base"]
    line += ["--steps", "2"] if options.reduced else []
    begun = time.perf_counter()
    if why := limited([sys.executable, "-m", "surgaug", *line], seconds)[1]:
        raise RuntimeError(f"synthesize: {why}")
    took = time.perf_counter() - begun
    return {"images": n, "seconds": took, "images/s": n / took}


def table(found: dict[str, Any]) -> str:
    """The findings in Markdown."""
    peaks = " | ".join(f"{name} {value / 1e9:,.0f} G a second" for name, value in found["peak"].items())
    lines = [f"{found['device']}, torch {found['torch']}, {found['precision']}; peak: {peaks or 'not known'}", ""]
    lines += [
        "| pass | network | size | batch | GFLOP an image | images/s | of peak | GiB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in found["passes"]:
        held = "" if row["GiB"] is None else f"{row['GiB']:.1f}"
        share = "" if row["of peak"] is None else f"{row['of peak']:.0%}"
        lines.append(
            f"| {row['pass']} | {row['network']} | {row['size'][0]}x{row['size'][1]} | {row['batch']} "
            f"| {row['GFLOP an image']:.1f} | {row['images/s']:,.1f} | {share} | {held} |"
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
    lines += [f"- failed: {name}: {' '.join(why.split())}" for name, why in found["failed"].items()]
    lines.append(f"- left out: {', '.join(found['left out']) or 'nothing'}")
    return "\n".join(lines) + "\n"


def shown(value: Any) -> str:
    """A figure with three digits that count, names, or text."""
    if isinstance(value, list):
        return " ".join(value) or "none"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
