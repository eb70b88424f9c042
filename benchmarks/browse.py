"""How `surgaug browse` copes with thousands of pairs: writing the page, its first picture, and what scrolling holds.

    python benchmarks/browse.py SYNTHETIC OUT [--pairs 5000] [--opens 10] [--leaps 300]

SYNTHETIC is an output of `synthesize`; its pairs, under as many names as are asked for (links: the disk holds them
once), stand in OUT/pairs, and the page in OUT/page. The page is opened in headless Chromium (`chromium-headless-shell`,
Chromium or Chrome, driven by Playwright).
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from surgaug.inspect.browse import BrowseConfig, browse
from surgaug.io.manifest import MANIFEST, read_rows

BROWSERS = ("chromium-headless-shell", "chromium", "google-chrome")
FIRST = "[...document.querySelectorAll('.cell img')].some(image => image.complete && image.naturalWidth > 0)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("synthetic", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--pairs", type=int, default=5000)
    parser.add_argument("--opens", type=int, default=10)
    parser.add_argument("--leaps", type=int, default=300)
    options = parser.parse_args()
    pairs = multiplied(options.synthetic, options.out / "pairs", options.pairs)
    start = time.monotonic()
    page = browse(BrowseConfig(pairs, options.out / "page")).page
    seconds = time.monotonic() - start
    used = resource.getrusage(resource.RUSAGE_SELF)
    megabytes = sum(file.stat().st_size for file in (options.out / "page").rglob("*") if file.is_file()) / 1e6
    print(f"{options.pairs:,} pairs written in {seconds:.0f} s, {used.ru_utime + used.ru_stime:.0f} s of CPU, ", end="")
    print(f"{megabytes:.0f} MB; load average {os.getloadavg()[0]:.1f}")
    look(page, options.opens, options.leaps)


def multiplied(synthetic: Path, out: Path, count: int) -> Path:
    """`count` pairs that are links to those of `synthetic`, each with a row and an agreement of its own."""
    rows, _ = read_rows(synthetic)
    lines = []
    for i in range(count):
        row = dict(rows[i % len(rows)])
        row |= {"index": i, "agreement": i * 37 % 100 / 100}
        for key in ("image", "label"):
            source = synthetic / row[key]
            row[key] = f"{Path(row[key]).parent}/{source.stem}_{i:06d}.png"
            target = out / row[key]
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists():
                os.link(source, target)
        lines.append(json.dumps(row))
    (out / MANIFEST).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    shutil.copyfile(synthetic / "dataset.json", out / "dataset.json")
    return out


def look(page: Path, opens: int, leaps: int) -> None:
    """Print how long the page and its first picture take, and what is held after scrolling through to the end."""
    from playwright.sync_api import sync_playwright

    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        there, first = [], []
        for _ in range(opens):
            context = browser.new_context(viewport={"width": 1280, "height": 800})
            shown = context.new_page()
            start = time.monotonic()
            shown.goto(page.resolve().as_uri(), wait_until="commit")
            shown.wait_for_selector(".cell")
            there.append(time.monotonic() - start)
            shown.wait_for_function(FIRST)
            first.append(time.monotonic() - start)
            context.close()
        for name, found in (("page", there), ("first picture", first)):
            print(
                f"{name} after {statistics.median(found):.1f} s ({min(found):.1f} to {max(found):.1f}, {opens} times)"
            )
        shown = browser.new_page(viewport={"width": 1280, "height": 800})
        session = shown.context.new_cdp_session(shown)
        session.send("Performance.enable")
        shown.goto(page.resolve().as_uri())
        shown.wait_for_function(FIRST)
        start = time.monotonic()
        for k in range(1, leaps + 1):
            shown.evaluate(f"scrollTo(0, document.documentElement.scrollHeight * {k / leaps})")
            shown.wait_for_timeout(50)
        metrics = {m["name"]: m["value"] for m in session.send("Performance.getMetrics")["metrics"]}
        cells = shown.locator(".cell").count()
        print(
            f"scrolled to the end in {leaps} leaps and {time.monotonic() - start:.0f} s: {cells} pairs in the page, "
            f"{metrics['JSHeapUsedSize'] / 1e6:.0f} MB of objects, {largest_renderer() / 1e6:.0f} MB its process"
        )
        browser.close()


def largest_renderer() -> int:
    """The memory in bytes of the largest renderer process of a browser that this process started."""
    held = [0]
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            if b"--type=renderer" in (status.parent / "cmdline").read_bytes() and _is_ours(int(status.parent.name)):
                size = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS"))
                held.append(1024 * int(size.split()[1]))
        except (OSError, StopIteration):
            continue
    return max(held)


def _is_ours(process: int) -> bool:
    """Whether this process is among the ancestors of `process`."""
    while process > 1:
        if process == os.getpid():
            return True
        process = int((Path("/proc") / str(process) / "stat").read_text().rpartition(")")[2].split()[1])
    return False


if __name__ == "__main__":
    main()
