"""The page opened from disk in a real browser: light and dark, wide and narrow."""

import pytest

SHOWN = "image => image.complete && image.naturalWidth > 0 && image.clientWidth"


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1300, 390])
def test_page_shows_every_figure_and_logs_no_error(browser, finished_run, scheme, width):
    files = finished_run[1]
    page = browser.new_page(color_scheme=scheme, viewport={"width": width, "height": 900})
    trouble: list[str] = []
    page.on("console", lambda message: trouble.append(message.text))
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("requestfailed", lambda request: trouble.append(request.url))
    page.goto(files.page.as_uri())

    widths = [image.evaluate(SHOWN) for image in page.locator("figure img").all()]
    assert len(widths) == len(files.figures)
    assert min(widths) >= 300
    rows = page.locator("#scores table").first.locator('th[scope="rowgroup"]').all_inner_texts()
    assert rows == [
        *("vae", "vae+kmeans", "vae+dpgmm-50", "gmvae", "gmvae+dpgmm", "algorithm1-soft")
    ]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(23, 23, 23)")
    assert trouble == []
    page.close()
