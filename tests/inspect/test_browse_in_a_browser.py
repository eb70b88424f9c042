"""The page of many pairs in headless Chromium, as wide as a desk and as a phone: pictures, keys, fingers, filters."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from surgaug.cli import run
from surgaug.inspect.browse import BrowseConfig, browse, write_page
from surgaug.inspect.browse_rows import Doubts
from surgaug.inspect.dataset import open_frames
from surgaug.runtime.feedback import Silent

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.slow
PAIRS = 60
CURRENT = "document.querySelector('.current .caption').textContent.split(' ')[0]"
SHOWN = "[...document.querySelectorAll('.cell .caption')].map(c => c.textContent.split(' ')[0])"
LOADED = "[...document.querySelectorAll('{}')].some(image => image.complete && image.naturalWidth > 0)"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 pairs of 8 masks in two videos, each with its real frame."""
    root = tmp_path_factory.mktemp("browse")
    (root / "classes.json").write_text(json.dumps({"ground": 0, "square": 1, "rare": 2}))
    rows = []
    for folder, count in (("real", 8), ("synth", PAIRS)):
        for kind in ("images", "labels"):
            (root / folder / kind).mkdir(parents=True)
        for i in range(count):
            label_map = np.zeros((45, 80), np.uint8)
            label_map[5:20, i : i + 15] = 1
            label_map[30:40, 5:10] = 2 if i % 10 == 0 else 0
            Image.fromarray(label_map).save(root / folder / "labels" / f"f{i:03d}.png")
            image = np.stack([label_map * 100, np.full_like(label_map, 40 + i), label_map * 50], -1)
            Image.fromarray(image).save(root / folder / "images" / f"f{i:03d}.png")
    for i in range(PAIRS):
        mask = f"f{i % 8:03d}"
        row = {"image": f"images/f{i:03d}.png", "label": f"labels/f{i:03d}.png", "mask": mask, "index": i}
        row |= {"source": str(root / "real" / "labels" / f"{mask}.png"), "video": f"Video{i % 2}", "version": 2}
        row |= {"agreement": i / 100, "style": ["auto", "Video1"][i % 2]}
        row |= {"perturbations": [{"op": "flip"}] if i < 3 else []}
        rows.append(json.dumps(row))
    (root / "synth" / "manifest.jsonl").write_text("\n".join(rows))
    return root


@pytest.fixture(scope="module")
def browser(browser_program: str) -> Iterator[Browser]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright, which drives the browser, is not there")
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=browser_program, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def written(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("page")
    done = browse(BrowseConfig(data / "synth", out, classes=str(data / "classes.json")))
    assert (done.pairs, done.with_real) == (PAIRS, PAIRS)
    return done.page


@contextmanager
def opened(browser: Browser, page: Path, width: int, height: int, **options: bool) -> Iterator[Page]:
    """The page, once its first picture is there. An error in its script or a file that is not there fails the test."""
    shown = browser.new_context(viewport={"width": width, "height": height}, **options).new_page()
    troubles: list[str] = []  # to raise inside a handler would break the connection with the browser
    shown.on("pageerror", lambda error: troubles.append(f"the page's script: {error}"))
    shown.on("requestfailed", lambda request: troubles.append(f"{request.failure}: {request.url}"))
    shown.goto(page.as_uri())
    shown.wait_for_function(LOADED.format(".cell img"))
    yield shown
    shown.context.close()
    # A picture that is no longer wanted, since the page was loaded again or scrolled on, is no trouble.
    assert not [trouble for trouble in troubles if not trouble.startswith("net::ERR_ABORTED")]


@pytest.fixture
def desk(browser: Browser, written: Path) -> Iterator[Page]:
    with opened(browser, written, 1280, 800) as shown:
        yield shown


def test_keys_move_show_and_mark(desk: Page) -> None:
    press = desk.keyboard.press
    assert desk.evaluate(CURRENT) == "f000"
    for key in ("ArrowRight", "ArrowDown", "ArrowLeft"):
        press(key)
    assert desk.evaluate(CURRENT) == "f005"  # five in a row of 1280 pixels
    press("End")
    assert desk.evaluate(CURRENT) == f"f{PAIRS - 1:03d}"
    box = desk.locator(".current").bounding_box()
    assert box is not None and box["y"] >= 0 and box["y"] + box["height"] <= 800, "what is chosen is on the screen"
    press("Home")
    assert desk.evaluate("document.querySelector('.cell .label').checkVisibility()") is False
    press("3")
    desk.wait_for_function(LOADED.format(".cell .label"))
    assert desk.evaluate("getComputedStyle(document.querySelector('.cell .label')).opacity") == "0.45"
    press("2")
    assert desk.evaluate("document.querySelector('.cell .picture').checkVisibility()") is False
    press("Space")
    assert desk.locator("[aria-selected=true]").count() == 1
    for _ in range(3):  # Chromium writes its store in another process, which a page loaded at once may overtake
        desk.reload()
        desk.wait_for_selector(".cell")
        if desk.locator("[aria-selected=true]").count():
            break
    assert desk.locator("[aria-selected=true]").count() == 1, "marks stay"
    desk.keyboard.press("Space")
    assert desk.locator("[aria-selected=true]").count() == 0


def test_large_beside_the_real_frame_of_the_mask(desk: Page) -> None:
    press = desk.keyboard.press
    press("ArrowRight")
    press("Enter")
    pictures = desk.locator("dialog[open] .picture")
    assert pictures.count() == 2
    desk.wait_for_function("[...document.querySelectorAll('dialog .picture')].every(i => i.complete && i.naturalWidth)")
    assert pictures.nth(1).get_attribute("src").endswith("real/images/f001.png")
    first, second = (pictures.nth(i).bounding_box() for i in (0, 1))
    assert first["x"] + first["width"] <= second["x"] and first["y"] == second["y"], "side by side"
    for _ in range(8):
        press("ArrowRight")
    assert desk.locator("dialog figcaption").first.inner_text() == "f009"
    assert "Video1" in desk.locator("dialog dl").inner_text() and "square" in desk.locator("dialog dl").inner_text()
    press("Space")
    press("Escape")
    assert not desk.locator("dialog[open]").count()
    assert desk.evaluate(CURRENT) == "f009"
    press("ArrowRight")
    assert desk.evaluate(CURRENT) == "f010", "the keys work on after it was closed"


def test_filters_and_orders_together(desk: Page) -> None:
    desk.get_by_label("agreement, most", exact=True).fill("0.2")
    assert desk.locator("#count").inner_text() == f"21 of {PAIRS}"
    desk.get_by_label("style", exact=True).select_option("Video1")
    assert desk.locator("#count").inner_text() == f"10 of {PAIRS}"
    desk.locator("#order").select_option("agreement, most first")
    assert desk.evaluate(SHOWN)[:3] == ["f019", "f017", "f015"]
    desk.get_by_label("agreement, most", exact=True).fill("")
    desk.get_by_label("style", exact=True).select_option("")
    desk.get_by_label("class", exact=True).select_option("rare")
    assert sorted(desk.evaluate(SHOWN)) == [f"f{i:03d}" for i in range(0, PAIRS, 10)]
    desk.get_by_label("find").fill("f03")
    assert desk.evaluate(SHOWN) == ["f030"]
    desk.get_by_label("find").press("Space")  # is text there, and marks nothing
    assert desk.locator("[aria-selected=true]").count() == 0


def test_marks_are_saved_as_a_list_that_export_takes(desk: Page, data: Path, tmp_path: Path) -> None:
    for _ in range(2):
        desk.keyboard.press("Space")
        desk.keyboard.press("ArrowRight")
    with desk.expect_download() as download:
        desk.get_by_role("button", name="save marks (2)").click()
    marked = tmp_path / download.value.suggested_filename
    download.value.save_as(marked)
    assert marked.read_text().split() == ["f000", "f001"]
    line = [
        "export",
        "--data",
        str(data / "real"),
        "--classes",
        str(data / "classes.json"),
        "--out",
        str(tmp_path / "o"),
    ]
    assert run([*line, "--without", str(marked), "--quiet"]) == 0
    assert len(list((tmp_path / "o").rglob("f00*.png"))) == 2 * 6
    for _ in range(2):
        desk.keyboard.press("ArrowLeft")
        desk.keyboard.press("Space")
    desk.locator("#open").set_input_files(marked)
    assert desk.locator("[aria-selected=true]").count() == 2


def test_marks_are_of_one_page_alone(browser: Browser, written: Path, data: Path, tmp_path: Path) -> None:
    other = browse(BrowseConfig(data / "synth", tmp_path / "elsewhere", classes=str(data / "classes.json"))).page
    with opened(browser, written, 1280, 800) as shown:
        shown.keyboard.press("Space")
        for page, marked in ((other, 0), (written, 1)):
            shown.goto(page.as_uri())
            shown.wait_for_function(LOADED.format(".cell img"))
            assert shown.get_by_role("button", name=f"save marks ({marked})").count() == 1


def test_a_phone_needs_no_sideways_scrolling_and_no_keyboard(browser: Browser, written: Path) -> None:
    with opened(browser, written, 390, 844, has_touch=True, is_mobile=True) as phone:
        width = "document.documentElement.scrollWidth"
        assert phone.evaluate(width) <= 390
        assert phone.locator("header").bounding_box()["height"] < 80, "the pictures have the screen"
        phone.locator("summary").tap()
        assert phone.evaluate(width) <= 390
        assert phone.locator("#order").is_visible()
        phone.locator("summary").tap()
        phone.locator(".cell").first.tap()
        assert phone.evaluate(width) <= 390
        first, second = (phone.locator("dialog .pair").nth(i).bounding_box() for i in (0, 1))
        assert first["y"] + first["height"] <= second["y"], "one below the other"
        phone.get_by_role("button", name="mark").tap()
        phone.get_by_role("button", name="the next one").tap()
        assert phone.locator("dialog figcaption").first.inner_text() == "f001"
        swipe = """[[300, 'touchstart'], [100, 'touchend']].map(([clientX, kind]) => {
          const target = document.querySelector('#large');
          const touch = new Touch({ identifier: 0, target, clientX, clientY: 300 });
          const touches = kind === 'touchend' ? [] : [touch];
          target.dispatchEvent(new TouchEvent(kind, { touches, changedTouches: [touch] })); })"""
        phone.evaluate(swipe)
        assert phone.locator("dialog figcaption").first.inner_text() == "f002"
        phone.get_by_role("button", name="back").tap()
        assert phone.locator("[aria-selected=true]").count() == 1


def test_only_what_is_near_the_screen_is_in_the_document(desk: Page) -> None:
    desk.wait_for_timeout(400)
    cells = desk.locator(".cell").count()
    assert cells < PAIRS
    desk.evaluate("scrollTo(0, document.body.scrollHeight)")
    desk.wait_for_function(f"{SHOWN}.includes('f{PAIRS - 1:03d}')")
    assert "f000" not in desk.evaluate(SHOWN)


def test_an_audit_is_shown_worst_first_with_its_outlines(browser: Browser, data: Path, tmp_path: Path) -> None:
    root = data / "real"
    frames = open_frames(root, str(data / "classes.json"), Silent())
    doubts = {
        f"f{i:03d}": Doubts(float(i), ("square, read as rare",) * (i == 5), np.eye(9, 16, dtype=bool)) for i in range(8)
    }
    page = tmp_path / "doubts.html"
    write_page(page, tmp_path / "doubts_files", frames, root, None, Silent(), doubts)
    with opened(browser, page, 1280, 800) as shown:
        assert shown.evaluate(SHOWN)[:2] == ["f007", "f006"]
        shown.wait_for_function(LOADED.format(".outline"))
        shown.keyboard.press("4")
        assert shown.evaluate("document.querySelector('.outline').checkVisibility()") is False
        shown.get_by_label("doubt", exact=True).select_option("square, read as rare")
        assert shown.evaluate(SHOWN) == ["f005"]
        shown.get_by_label("suspicion, least", exact=True).fill("6")
        assert shown.locator("#count").inner_text() == "0 of 8"


def test_inspect_writes_the_page_into_any_file(data: Path, tmp_path: Path) -> None:
    page = tmp_path / "looks" / "real.html"
    assert run(["inspect", str(data / "real"), "--classes", str(data / "classes.json"), "--html", str(page)]) == 0
    assert len(list((page.parent / "real_files" / "labels").glob("*.png"))) == 8
    assert "f007" in page.read_text()
    assert run(["inspect", str(data / "classes.json"), "--html", str(page)]) == 2
    assert run(["inspect", str(data / "real"), "--html", str(tmp_path)]) == 2
