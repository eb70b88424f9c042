"""How near training and sampling come to what this machine can do.

    python benchmarks/speed.py [--network tiny] [--sizes 64x112,256x448,540x960] [--device auto] [--precision auto]

The floor: the machine's peak is measured (a large matrix product, a large copy; the best of their turns), not looked
up. Per image: FLOPs of convolutions, matrix products and attention; bytes, as if every operation read its inputs from
memory and wrote its results there; images a second by the median turn. `of peak` is the share of the peak that the
FLOPs alone account for, `of copy` the same for the bytes: where both are low, time goes into small operations; an
`of copy` above 100 % means that caches do their part.

`labels` is the label maps' part; `sample` one call of the network with that part computed beforehand, as
`surgaug synthesize` does; `no cache` computes it in every call, as SPADE networks usually do. The last column is the
gain over 40 steps, with the label maps' part once, and the gain by FLOPs alone.

Network `spade-of-sdm` is our own with SPADE as large as SDM (Wang 2022) has it, on an image of full resolution: the
case in which the label maps' part weighs most.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from surgaug.models import families
from surgaug.models.families.diffusion import PRESETS, build
from surgaug.models.unet import SemanticUNet
from surgaug.models.upsampler import Window
from surgaug.runtime.device import autocast, pick_device, pick_precision

CLASSES, STEPS = 36, 40
NETWORKS = PRESETS | {
    "spade-of-sdm": replace(
        PRESETS["tiny"], patch=1, channels=(32, 64, 80), spade=(True, True, True), spade_hidden=128, spade_kernel=3,
        join="concat", style=False,
    )
}  # fmt: skip
# torch's own counter leaves out attention on CPUs.
ATTENTION = {
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: lambda q, k, v, *_, **__: sdpa_flop_count(q, k, v),
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: (
        lambda out, q, k, v, *_, **__: sdpa_backward_flop_count(out, q, k, v)
    ),
}
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
    parser.add_argument("--network", default="tiny", choices=NETWORKS)
    parser.add_argument("--passes", default="train,labels,no cache,sample")
    parser.add_argument("--sizes", default="64x112,256x448,540x960")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--pixels", type=int, default=1 << 16, help="a batch holds about this many")
    parser.add_argument("--seconds", type=float, default=3.0, help="of measuring, each")
    options = parser.parse_args()

    device = pick_device(options.device)
    dtype = pick_precision(options.precision, device)
    timer, peaks = Timer(device, options.seconds), make_peaks(device, dtype)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{torch.get_num_threads()} CPU threads"
    print(f"{name}, torch {torch.__version__}, {dtype or torch.float32}, {options.network}, {CLASSES} classes\n")
    print("| pass | size | batch | GFLOP an image | GB an image | images/s | of peak | of copy | 40 steps | by FLOPs |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for text in options.sizes.split(","):
        size = tuple(map(int, text.split("x")))
        batch = max(1, options.pixels // (size[0] * size[1]))
        every = make_passes(build(NETWORKS[options.network], CLASSES), size, batch, device, dtype)
        passes = {label: every[label] for label in options.passes.split(",")}
        work = {label: cost(run) for label, run in passes.items()}
        times = timer(passes | {name: run for name, (run, _) in peaks.items()})
        seconds = {label: statistics.median(times[label]) for label in passes}
        peak, copy = (amount / min(times[name]) for name, (_, amount) in peaks.items())
        for label, (flops, moved) in work.items():
            rate, gain = 1 / seconds[label], " | "
            if label == "sample" and {"labels", "no cache"} <= passes.keys():
                gain = " | ".join(
                    f"{over_steps(costs):.2f} x" for costs in (seconds, {k: flops for k, (flops, _) in work.items()})
                )
            print(
                f"| {label} | {text} | {batch} | {flops / batch / 1e9:.2f} | {moved / batch / 1e9:.2f} "
                f"| {batch * rate:.1f} | {flops * rate / peak:.0%} | {moved * rate / copy:.0%} | {gain} |",
                flush=True,
            )
        print(f"| peak | {text} | | {peak / 1e9:.0f} a second | {copy / 1e9:.1f} a second | | | | | |", flush=True)


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

    @torch.inference_mode()
    def labels() -> None:
        with autocast(device, dtype):
            net.encode(index_map)

    return {"train": train, "labels": labels, "no cache": uncached, "sample": sample}


def over_steps(costs: dict[str, float]) -> float:
    """What `STEPS` steps cost without the cache, over what they cost with it."""
    return STEPS * costs["no cache"] / (costs["labels"] + STEPS * costs["sample"])


class Timer:
    """Seconds of each of some calls, after a warm-up; done turn by turn, so that a slow minute slows all."""

    def __init__(self, device: torch.device, seconds: float):
        self._device, self._seconds = device, seconds

    def __call__(self, runs: dict[str, Callable[[], None]]) -> dict[str, list[float]]:
        turns = []
        end = time.perf_counter() + self._seconds * len(runs)
        while time.perf_counter() < end or len(turns) < 4:
            turns.append([self._once(run) for run in runs.values()])
        return {name: times for name, *times in zip(runs, *turns[1:], strict=True)}

    def _once(self, run: Callable[[], None]) -> float:
        start = time.perf_counter()
        run()
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return time.perf_counter() - start


def cost(run: Callable[[], None]) -> tuple[int, int]:
    """(FLOPs, bytes) of a call."""
    flops, moved = FlopCounterMode(display=False, custom_mapping=ATTENTION), ByteCounter()
    with flops, moved:
        run()
    return flops.get_total_flops(), moved.total


def training_flops(family: str, preset: str, size: tuple[int, int]) -> int:
    """Of one image forwards and backwards, counted on the meta device: nothing is computed."""
    with torch.device("meta"):
        net = families.get(family).build(families.get(family).PRESETS[preset], CLASSES)
        x, level, style = torch.empty(1, 3, *size), torch.empty(1), torch.empty(1, 7)
        more: tuple[Tensor, ...] = ()
        if family == families.UPSAMPLER:
            more = (torch.empty_like(x), level, net.places([Window.whole(size)]))
        with FlopCounterMode(display=False, custom_mapping=ATTENTION) as counter:
            cond = net.condition(torch.empty((1, *size), dtype=torch.uint8), style if net.config.style else None, *more)
            net(x, level, cond).square().mean().backward()
    return counter.get_total_flops()


def make_peaks(device: torch.device, dtype: torch.dtype | None) -> dict[str, tuple[Callable[[], None], float]]:
    """A large square matrix product with its FLOPs, and a copy that no cache holds with its bytes, read and written."""
    n = 8192 if device.type == "cuda" else 2048
    a, b = (torch.randn(n, n, device=device, dtype=dtype or torch.float32) for _ in range(2))
    source = torch.ones(1 << 27, device=device)
    target = torch.empty_like(source)
    return {
        "product": (lambda: torch.mm(a, b), 2.0 * n**3),
        "copy": (lambda: target.copy_(source), 2.0 * source.numel() * source.element_size()),
    }


if __name__ == "__main__":
    main()
