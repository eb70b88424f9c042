"""What a thousand machines would do, on this one: many shards, a kill, a join, and manifests of a million rows.

    python benchmarks/scale.py OUT [--n 5000,50000] [--shards 16] [--at-once 2] [--rows 100000,1000000]

`synthesize`: n pairs of 16x16 by the smallest network in one step, so that what is not the network shows, in shards as
a SLURM array would start them, so many at once; one shard is killed on the way and started again by the same line, the
last one joins the manifests. Shown: seconds of a core and bytes of memory by number of pairs; both should not grow.

`manifest`: rows as `synthesize` writes them, in 16 parts: read by one pass, joined, and then inspected. Memory is the
process's largest less that of the same process with a hundredth of the rows; what is kept of a row is where it begins.

Writes OUT/scale.md.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from memory import frames

ROOT = Path(__file__).resolve().parents[1]
SIZE, MASKS, PARTS = (16, 16), 20, 16


@dataclass(frozen=True)
class Spent:
    """Seconds of a core, and the process's largest memory in MiB."""

    seconds: float
    memory: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--n", default="5000,50000")
    parser.add_argument("--shards", type=int, default=16)
    parser.add_argument("--at-once", type=int, default=2)
    parser.add_argument("--rows", default="100000,1000000")
    parser.add_argument("--child", choices=("model", "read", "join", "inspect"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        {"model": write_model, "read": read_all, "join": join_all, "inspect": inspect_all}[options.child](options.out)
        return
    options.out.mkdir(parents=True, exist_ok=True)
    lines = [*synthesis_table(options), "", *manifest_table(options)]
    text = "\n".join(lines) + "\n"
    (options.out / "scale.md").write_text(text)
    print(text)


def synthesis_table(options: argparse.Namespace) -> list[str]:
    """Rows by the number of pairs."""
    model, masks = options.out / "model.safetensors", options.out / "masks"
    if not masks.is_dir():
        frames(masks, MASKS, SIZE)
    spend(["--child", "model", str(model)])
    lines = ["| pairs | shards | s of a core, all | ms a pair | MiB, largest | join, s | killed and resumed |"]
    lines += ["|---" * 7 + "|"]
    for n in map(int, options.n.split(",")):
        out = options.out / f"set-{n}"
        shutil.rmtree(out, ignore_errors=True)
        line = [
            "synthesize", "--masks", str(masks / "labels"), "--classes", "cadis", "--model", str(model), "--n", str(n),
            "--out", str(out), "--device", "cpu", "--steps", "1", "--batch", "64", "--quiet",
        ]  # fmt: skip
        spent, killed = run_shards(line, options.shards, options.at_once, out)
        whole = spent[-1]  # the last one joined what the others made
        usual = sorted(s.seconds for s in spent)[len(spent) // 2]
        names = {p.stem for p in (out / "images").iterdir()}
        if len(names) != n or sum(1 for _ in (out / "manifest.jsonl").open()) != n or list(out.glob("manifest-*")):
            raise SystemExit(f"{out}: {len(names)} images of {n}, or manifests that are not joined")
        total = sum(s.seconds for s in spent)
        lines.append(
            f"| {n:,} | {options.shards} | {total:.0f} | {1000 * total / n:.1f} | {max(s.memory for s in spent):.0f} "
            f"| {max(0.0, whole.seconds - usual):.1f} | {killed} |"
        )
    return lines


def run_shards(line: list[str], shards: int, at_once: int, out: Path) -> tuple[list[Spent], str]:
    """All shards, `at_once` of them at a time, the last one alone; what each took, and what became of the one that was
    killed: the second, once some of its images are there."""
    spent: list[Spent] = []
    killed = "no"
    if shards > 1:
        victim = start([*line, "--shard", f"2/{shards}"])
        part = out / f"manifest-2-of-{shards}.jsonl"
        while victim.poll() is None and not (part.is_file() and part.stat().st_size):
            time.sleep(0.05)
        victim.send_signal(signal.SIGKILL)
        before = finish(victim)
        rows = sum(1 for _ in part.open()) if part.is_file() else 0
        killed = f"after {rows} rows"
        spent.append(before)
    waiting = [f"{i}/{shards}" for i in range(1, shards)]
    while waiting:
        group, waiting = waiting[:at_once], waiting[at_once:]
        for process in [start([*line, "--shard", shard]) for shard in group]:
            spent.append(finish(process, must=True))
    spent.append(finish(start([*line, "--shard", f"{shards}/{shards}"]), must=True))
    return spent, killed


def manifest_table(options: argparse.Namespace) -> list[str]:
    """Rows by the number of rows."""
    lines = ["| rows | GiB | read, s | MiB | joined, s | MiB | inspected, s | MiB |", "|---" * 8 + "|"]
    for rows in map(int, options.rows.split(",")):
        few, many = (options.out / f"rows-{count}" for count in (max(1, rows // 100), rows))
        size = [write_parts(folder, int(folder.name.removeprefix("rows-"))) for folder in (few, many)][1]
        cells = []
        for child in ("read", "join", "inspect"):
            less, more = (spend(["--child", child, str(folder)]) for folder in (few, many))
            cells += [f"{more.seconds - less.seconds:.1f}", f"{more.memory - less.memory:.0f}"]
        lines.append(f"| {rows:,} | {size / 2**30:.2f} | {' | '.join(cells)} |")
        for folder in (few, many):
            shutil.rmtree(folder)
    return lines


def write_parts(folder: Path, count: int) -> int:
    """Refused samples' rows, which have no files, in parts by shard; their bytes."""
    from surgaug.io.manifest import REFUSED, part_path, to_line

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    total = 0
    for part in range(PARTS):
        with part_path(folder, f"{part + 1}-of-{PARTS}", REFUSED).open("w") as file:
            for k in range(part, count, PARTS):
                total += file.write(to_line(a_row(k)))
    return total


def a_row(k: int) -> dict[str, object]:
    """As `synthesize` writes it, but for the files."""
    return {
        "index": k, "mask": f"Video01_frame{k % 997:06d}", "source": f"cadis/Video01/Labels/frame{k % 997:06d}.png",
        "video": "Video01", "split": "train", "size": [540, 960], "seed": 0, "sampler": "dpmpp", "steps": 20,
        "guidance": 2.0, "style": "Video01_frame000030", "model": "0" * 64, "name": f"Video01_frame{k % 997:06d}_{k}",
        "classes": {str(c): 1000 + (k * 31 + c) % 977 for c in range(12)}, "checks": {"finite": True},
    }  # fmt: skip


def journal(folder: Path):
    """The rows of a folder of `write_parts`."""
    from surgaug.io.journal import Journal
    from surgaug.io.manifest import REFUSED

    return Journal(folder, lambda k: (), name=REFUSED)


def read_all(folder: Path) -> None:
    """Every row once, in order."""
    if not sum(len(row["classes"]) for row in journal(folder).rows()):
        raise SystemExit(f"{folder}: no rows")


def join_all(folder: Path) -> None:
    """One manifest of all parts."""
    journal(folder).join()
    if list(folder.glob("refused-*")):
        raise SystemExit(f"{folder}: parts are left")


def inspect_all(folder: Path) -> None:
    """What `surgaug inspect` says of the joined manifest."""
    from surgaug.inspect.files import inspect_manifest
    from surgaug.io.manifest import REFUSED

    report = inspect_manifest(folder / REFUSED)
    if report.problems or dict(report.facts)["masks"] == "0":
        raise SystemExit(f"{folder}: {report}")


def write_model(path: Path) -> None:
    """The smallest network of the family, untrained."""
    import torch

    from surgaug.diffusion.schedules import Schedule
    from surgaug.labels.builtin_spaces import load_space
    from surgaug.models.checkpoint import save_model
    from surgaug.models.unet import SemanticUNet, UNetConfig

    config = UNetConfig(
        channels=(8, 8), encoder_blocks=(1, 1), decoder_blocks=(1, 1), attention=(False, False), spade=(True, True),
        spade_hidden=8, label_channels=4, noise_dim=16,
    )  # fmt: skip
    torch.manual_seed(0)
    space = load_space("cadis")
    save_model(
        path, SemanticUNet(config, space.num_classes).state_dict(), config=config, space=space,
        schedule=Schedule().to_dict(), prediction="x0", size=SIZE,
        defaults={"sampler": "ddim", "steps": 1, "guidance": 1.0}, meta={},
    )  # fmt: skip


def start(line: list[str]) -> subprocess.Popen:
    """The program, or this script as a child, in a process of its own."""
    own = [str(Path(__file__).resolve())] if line[0] == "--child" else ["-m", "surgaug"]
    order = [line[2], *line[:2]] if line[0] == "--child" else line
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    line = [sys.executable, *own, *order]
    return subprocess.Popen(line, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def finish(process: subprocess.Popen, must: bool = False) -> Spent:
    """What it spent. must: it has to end well."""
    assert process.stderr is not None
    said = process.stderr.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if must and process.returncode:
        raise SystemExit(f"{process.args}: {said}")
    memory = usage.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    return Spent(usage.ru_utime + usage.ru_stime, memory)


def spend(line: list[str]) -> Spent:
    """Of a line that has to end well."""
    return finish(start(line), must=True)


if __name__ == "__main__":
    main()
