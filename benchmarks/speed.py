"""How near training and sampling come to what this machine can do.

    python benchmarks/speed.py [--preset tiny] [--sizes 64x112,256x448,540x960] [--device auto] [--precision auto]

The floor: the machine's peak is measured (a large matrix product, a large copy), not looked up. Per image: FLOPs of
convolutions, matrix products and attention; bytes, as if every operation read its inputs from memory and wrote its
results there. `of peak` is the share of the peak that the FLOPs alone account for, `of copy` the same for the bytes:
where both are low, time goes into small operations; a `of copy` above 100 % means that caches do their part.

`sample` is one call of the network with the label maps' part computed beforehand, as `surgaug synthesize` does;
`no cache` computes that part in every step, as SPADE networks usually do. The last column is the gain.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from surgaug.device import autocast, pick_device, pick_precision
from surgaug.models.presets import PRESETS
from surgaug.models.unet import SemanticUNet

CLASSES = 36
VIEWS = {"view", "t", "transpose", "permute", "expand", "slice", "select", "as_strided", "unsqueeze", "_unsafe_view"}


class ByteCounter(TorchDispatchMode):
    """Sums the sizes of the tensors that go into and come out of every operation but views."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if func.overloadpacket.__name__ not in VIEWS:
            tensors = [t for t in tree_leaves((args, kwargs, out)) if isinstance(t, Tensor)]
            self.total += sum(t.numel() * t.element_size() for t in tensors)
        return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="tiny", choices=PRESETS)
    parser.add_argument("--sizes", default="64x112,256x448,540x960")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--pixels", type=int, default=1 << 16, help="a batch holds about this many")
    parser.add_argument("--seconds", type=float, default=3.0, help="of measuring, each")
    options = parser.parse_args()

    device = pick_device(options.device)
    dtype = pick_precision(options.precision, device)
    timer = Timer(device, options.seconds)
    peak, copy = peak_flops(timer, device, dtype), copy_bandwidth(timer, device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{torch.get_num_threads()} CPU threads"
    print(f"{name}, torch {torch.__version__}, {dtype or torch.float32}, preset {options.preset}, {CLASSES} classes")
    print(f"peak: {peak / 1e9:.0f} GFLOP/s (matrix product), {copy / 1e9:.1f} GB/s (copy, read and written)\n")
    print("| pass | size | batch | GFLOP an image | GB an image | images/s | of peak | of copy | against no cache |")
    print("|---|---|---|---|---|---|---|---|---|")
    for text in options.sizes.split(","):
        size = tuple(map(int, text.split("x")))
        batch = max(1, options.pixels // (size[0] * size[1]))
        passes = make_passes(SemanticUNet(PRESETS[options.preset], CLASSES), size, batch, device, dtype)
        seconds = {}
        for label, run in passes.items():
            flops, moved = cost(run)
            seconds[label] = timer(run)
            rate = 1 / seconds[label]
            gain = f"{seconds['no cache'] / seconds[label]:.2f} x" if label == "sample" else ""
            print(
                f"| {label} | {text} | {batch} | {flops / batch / 1e9:.2f} | {moved / batch / 1e9:.2f} "
                f"| {batch * rate:.1f} | {flops * rate / peak:.0%} | {moved * rate / copy:.0%} | {gain} |",
                flush=True,
            )


def make_passes(
    net: SemanticUNet, size: tuple[int, int], batch: int, device: torch.device, dtype: torch.dtype | None
) -> dict[str, Callable[[], None]]:
    """One optimizer step; one call of the network without, and with, the label maps' part computed beforehand."""
    net = net.to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(net.parameters(), 1e-4, fused=device.type != "mps")
    x = torch.randn(batch, 3, *size, device=device).to(memory_format=torch.channels_last)
    level = torch.rand(batch, device=device)
    index_map = torch.randint(0, CLASSES, (batch, *size), dtype=torch.uint8, device=device)

    def train() -> None:
        net.train()
        with autocast(device, dtype):
            out = net(x, level, net.encode(index_map))
        (out.float() - x).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    @torch.inference_mode()
    def uncached() -> None:
        net.eval()
        with autocast(device, dtype):
            net(x, level, net.encode(index_map))

    with torch.inference_mode(), autocast(device, dtype):
        cond = net.encode(index_map)

    @torch.inference_mode()
    def sample() -> None:
        with autocast(device, dtype):
            net(x, level, cond)

    return {"train": train, "no cache": uncached, "sample": sample}


class Timer:
    """Median seconds of a call, after a warm-up."""

    def __init__(self, device: torch.device, seconds: float):
        self._device, self._seconds = device, seconds

    def __call__(self, run: Callable[[], None]) -> float:
        for _ in range(2):
            self._once(run)
        times, end = [], time.perf_counter() + self._seconds
        while time.perf_counter() < end or len(times) < 3:
            times.append(self._once(run))
        return statistics.median(times)

    def _once(self, run: Callable[[], None]) -> float:
        start = time.perf_counter()
        run()
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return time.perf_counter() - start


def cost(run: Callable[[], None]) -> tuple[int, int]:
    """(FLOPs, bytes) of a call."""
    flops, moved = FlopCounterMode(display=False), ByteCounter()
    with flops, moved:
        run()
    return flops.get_total_flops(), moved.total


def peak_flops(timer: Timer, device: torch.device, dtype: torch.dtype | None) -> float:
    """FLOP/s of a large square matrix product."""
    n = 8192 if device.type == "cuda" else 2048
    a, b = (torch.randn(n, n, device=device, dtype=dtype or torch.float32) for _ in range(2))
    return 2 * n**3 / timer(lambda: torch.mm(a, b))


def copy_bandwidth(timer: Timer, device: torch.device) -> float:
    """Bytes/s, read and written, of a copy that no cache holds."""
    source = torch.ones(1 << 27, device=device)
    target = torch.empty_like(source)
    return 2 * source.numel() * source.element_size() / timer(lambda: target.copy_(source))


if __name__ == "__main__":
    main()
