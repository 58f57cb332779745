"""The page of a fit in a real browser: pointed at, clicked, slid, typed at, attacked."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from dimix.records import FitBundle
from dimix.report import write_fit_report
from fit_bundles import HOSTILE, bundle, hostile, of_images, of_table

pytestmark = pytest.mark.browser
PIXEL = """([x, y]) => Array.from(document.getElementById('canvas').getContext('2d')
           .getImageData(x * devicePixelRatio, y * devicePixelRatio, 1, 1).data).slice(0, 3)"""
COLOURS = """() => { const c = document.getElementById('canvas'), d = c.getContext('2d')
    .getImageData(0, 0, c.width, c.height).data, seen = new Set();
    for (let i = 0; i < d.length; i += 4) seen.add((d[i] << 16) | (d[i + 1] << 8) | d[i + 2]);
    return [...seen].sort(); }"""


@pytest.fixture
def show(browser, tmp_path: Path) -> Iterator:
    """Open a bundle's page; at the end, nothing went wrong and nothing was asked for."""
    trouble: list[str] = []
    opened = []

    def open_page(made: FitBundle, *, scheme="light", width=1300, wait=20_000):
        made.save(tmp_path)
        file = write_fit_report(tmp_path)
        page = browser.new_page(color_scheme=scheme, viewport={"width": width, "height": 950})
        opened.append(page)
        page.on("console", lambda message: trouble.append(message.text))
        page.on("pageerror", lambda error: trouble.append(str(error)))
        page.on(
            "request",
            lambda asked: (
                None
                if asked.url == file.as_uri() or asked.url.startswith("data:")
                else trouble.append(asked.url)
            ),
        )
        page.goto(file.as_uri())
        page.wait_for_selector("html[data-ready]", state="attached", timeout=wait)
        page.wait_for_selector("#cards article", timeout=wait)
        return page

    yield open_page
    keep = os.environ.get("DIMIX_SCREENSHOTS")
    for i, page in enumerate(opened):
        folder = Path(keep) if keep else tmp_path
        page.screenshot(path=folder / f"{tmp_path.name}-{i}.png", full_page=True)
        page.close()
    assert trouble == []


def settled(page) -> None:
    """Wait until cards are drawn for the cut."""
    page.wait_for_timeout(200)


def pointed_at(page, point: int) -> tuple[float, float]:
    """Where a point of the invented bundles is on the screen, from the bundle alone."""
    made = bundle()
    box = page.locator("#canvas").bounding_box()
    low, high = made.map_xy.min(0), made.map_xy.max(0)
    scale = min((box["width"] - 36) / (high - low)[0], (box["height"] - 36) / (high - low)[1])
    x, y = ((made.map_xy[point] - (low + high) / 2) * scale).tolist()
    return box["x"] + box["width"] / 2 + x, box["y"] + box["height"] / 2 - y


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("make", [of_images, of_table])
def test_the_page_shows_the_fit_wide_and_narrow(show, make, scheme) -> None:
    for width in (1300, 390):
        page = show(make(), scheme=scheme, width=width)
        assert page.locator("#cards article").count() == 4
        assert page.locator("#count").inner_text() == "4"
        assert page.locator("#curves figure").count() == 2
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert len(page.evaluate(COLOURS)) > 4


def test_pointing_at_a_dot_says_what_it_is(show) -> None:
    page = show(of_images())
    page.mouse.move(*pointed_at(page, 8))
    tip = page.locator("#tip")
    assert tip.is_visible()
    assert "Row 8" in tip.inner_text()
    assert tip.locator("canvas").count() == 1
    assert "dog" in tip.inner_text()  # label 8 % 3 - 1
    page.mouse.move(2, 2)
    assert not tip.is_visible()
    page.mouse.click(*pointed_at(page, 8))  # keeps it
    page.mouse.move(2, 2)
    assert tip.is_visible()
    assert "Row 8" in page.locator("#said").inner_text()


def test_the_slider_moves_the_cut_of_map_tree_and_cards(show) -> None:
    page = show(of_images())
    slider = page.locator("#slider")
    before = page.evaluate(COLOURS)
    slider.focus()
    slider.press("Home")
    settled(page)
    assert page.locator("#cards article").count() == 1
    assert page.locator("#count").inner_text() == "1"
    assert "below" in page.locator("#neff").inner_text()
    assert page.evaluate(COLOURS) != before
    slider.press("End")
    settled(page)
    assert page.locator("#cards article").count() == 6
    # Merges at 0.5 and 0.6, N = 121.5: five clusters from N exp(-0.5) down to N exp(-0.6).
    slider.press("ArrowLeft")
    settled(page)
    assert "73.69 down to 66.68" in page.locator("#neff").inner_text()
    page.get_by_role("button", name="Back to auto").click()
    settled(page)
    assert page.locator("#count").inner_text() == "4"
    assert "auto" in page.locator("#neff").inner_text()
    assert sorted(page.evaluate(COLOURS)) == sorted(before)


def test_clusters_are_numbered_and_shared_out_as_the_tree_says(show) -> None:
    page = show(of_images())
    facts = page.locator("#cards article .facts:first-of-type").all_inner_texts()
    assert [text.split()[0] for text in facts] == ["50%", "17%", "17%", "17%"]
    page.locator("#tree").click(position={"x": 200, "y": 14})  # above the last merge
    settled(page)
    assert page.locator("#count").inner_text() == "1"


def test_a_cards_members_are_on_the_map(show) -> None:
    page = show(of_images())
    member = page.locator("#cards article .face").first
    member.focus()
    assert page.locator("#ring").is_visible()
    assert member.get_attribute("aria-label").startswith("Row ")
    assert page.locator("#cards article").first.locator("canvas").count() > 8


def test_one_cluster_can_be_shown_alone(show) -> None:
    page = show(of_images())
    button = page.locator("#legend button").first
    button.click()
    assert button.get_attribute("aria-pressed") == "true"
    page.wait_for_timeout(100)
    alone = page.evaluate(COLOURS)
    button.click()
    page.wait_for_timeout(100)
    assert alone != page.evaluate(COLOURS)


def test_the_map_is_worked_by_keyboard_and_wheel(show) -> None:
    page = show(of_images())
    page.locator("#canvas").focus()
    first = page.evaluate(COLOURS)
    page.keyboard.press("Enter")
    assert page.locator("#tip").is_visible()
    assert "cluster" in page.locator("#said").inner_text()
    page.keyboard.press("Escape")
    assert not page.locator("#tip").is_visible()
    for key in ("+", "ArrowLeft", "ArrowDown"):
        page.keyboard.press(key)
    page.wait_for_timeout(100)
    assert page.evaluate(COLOURS) != first
    page.keyboard.press("0")
    page.wait_for_timeout(100)
    assert page.evaluate(COLOURS) == first
    box = page.locator("#canvas").bounding_box()
    page.mouse.move(box["x"] + 100, box["y"] + 100)
    page.mouse.wheel(0, -400)
    page.wait_for_timeout(100)
    assert page.evaluate(COLOURS) != first


def test_tab_reaches_every_control_in_reading_order(show) -> None:
    page = show(of_table())
    seen = []
    for _ in range(9):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.id || document.activeElement.className"))
    assert seen == [
        *("skip", "theme", "colour", "zoom-in", "zoom-out", "zoom-reset", "canvas", "slider"),
        "auto",
    ]


def test_colours_of_a_column_and_of_labels(show) -> None:
    page = show(of_table(labels=np.arange(120) % 3 - 1, label_names=("cat", "dog")))
    scale = page.locator("#scale")
    assert not scale.is_visible()
    page.locator("#colour").select_option(label="component")
    assert scale.inner_text().split() == ["0", "5"]
    page.locator("#colour").select_option("label")
    assert scale.inner_text().split() == ["cat", "dog"]
    page.locator("#colour").select_option("certainty")
    assert "100%" in scale.inner_text()


def test_a_tables_card_says_which_columns_set_the_cluster_apart(show) -> None:
    page = show(of_table())
    of = np.arange(120) % 6
    mean = float(of[of == 3].mean() - of.mean()) / of.std()
    # Sizes rise with the component: cluster 0 is {0, 1, 2}, 1 is 5, 2 is 4 and 3 is 3.
    card = page.locator("#cards article", has=page.locator("h3", has_text="Cluster 3"))
    row = card.locator(".contrast tbody tr").first
    assert row.locator("th").inner_text() == "component"
    assert float(row.locator("td").nth(1).inner_text().replace("−", "-")) == pytest.approx(
        mean, abs=0.006
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_theme_can_be_switched(show, scheme) -> None:
    page = show(of_images(), scheme=scheme)
    ground = "getComputedStyle(document.getElementById('canvas')).backgroundColor"
    before = page.evaluate(ground)
    page.locator("#theme").click()
    page.wait_for_timeout(100)
    after = page.evaluate(ground)
    light, dark = (before, after) if scheme == "light" else (after, before)
    assert (light, dark) == ("rgb(255, 255, 255)", "rgb(27, 30, 36)")
    corner = page.evaluate(PIXEL, [2, 2])
    assert corner == [27, 30, 36] if scheme == "light" else [255, 255, 255]
    assert page.locator("#theme").get_attribute("aria-pressed") == str(scheme == "light").lower()


CONTRAST = """() => {
    const paint = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
    const rgb = (c) => { paint.fillStyle = c; paint.fillRect(0, 0, 1, 1);
        return [...paint.getImageData(0, 0, 1, 1).data]; };
    const light = ([r, g, b]) => [r, g, b].map((v) => (v /= 255) <= 0.04045 ? v / 12.92
        : ((v + 0.055) / 1.055) ** 2.4).reduce((s, v, i) => s + v * [0.2126, 0.7152, 0.0722][i], 0);
    const ground = (e) => { while (e && getComputedStyle(e).backgroundColor === 'rgba(0, 0, 0, 0)')
        e = e.parentElement; return getComputedStyle(e || document.body).backgroundColor; };
    const texts = 'h1,h2,h3,h4,p,dt,dd,th,td,button,summary,label,figcaption';
    return [...document.querySelectorAll(texts)]
        .filter((e) => e.offsetParent && e.textContent.trim()).map((e) => {
            const [a, b] = [light(rgb(getComputedStyle(e).color)), light(rgb(ground(e)))]
                .sort((x, y) => y - x);
            return [(a + 0.05) / (b + 0.05), e.textContent.slice(0, 40)]; })
        .filter(([ratio]) => ratio < 4.5);
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_stand_out_from_what_is_behind_them(show, scheme) -> None:
    page = show(of_table(), scheme=scheme)
    assert page.evaluate(CONTRAST) == []


def test_hostile_texts_are_shown_and_do_nothing(show) -> None:
    page = show(hostile())
    page.mouse.move(*pointed_at(page, 8))
    page.locator("#colour").select_option(index=3)
    page.locator("#slider").focus()
    page.keyboard.press("Home")
    settled(page)
    for summary in page.locator("summary:visible").all():
        summary.click()
    assert page.evaluate("window.hit") is None
    assert page.locator("img, script[src], iframe, a[href^=http]").count() == 0
    assert page.locator("h1").text_content() == HOSTILE
    assert page.locator("option", has_text="__proto__").count() == 1


def test_components_without_a_tree_have_no_slider(show) -> None:
    page = show(of_images(linkage=None, auto_clusters=None, n_clusters=6))
    assert not page.locator("#slider").is_visible()
    assert page.locator("#cards article").count() == 6


def test_one_cluster_and_few_points(show) -> None:
    one = {"components": np.zeros((3, 1), np.uint16), "probabilities": np.ones((3, 1), np.float32)}
    page = show(
        bundle(3, **one, sizes=np.array([3.0]), linkage=None, n_clusters=1, auto_clusters=None)
    )
    assert page.locator("#cards article").count() == 1
    assert page.locator("#tree-heading").inner_text() == "1 cluster"


@pytest.mark.slow
def test_a_hundred_thousand_points_load_and_follow_the_slider(show) -> None:
    n = 100_000
    values = np.random.default_rng(0).normal(size=(n, 30)).astype(np.float32)
    made = of_table(
        n,
        columns=values,
        column_names=tuple(f"column {j}" for j in range(30)),
        names=tuple(f"file-{i:06d}.png" for i in range(n)),
        samples=None,
        originals=None,
        reconstructions=None,
    )
    start = time.perf_counter()
    page = show(made, wait=60_000)
    assert time.perf_counter() - start < 60  # written, opened and drawn, on a busy machine
    loading = page.evaluate("performance.getEntriesByType('navigation')[0].domInteractive")
    print(f"interactive after {loading / 1000:.1f} s")
    page.locator("#slider").focus()
    page.keyboard.press("ArrowRight")
    page.locator("#cards article").nth(4).wait_for()
