"""The interactive page of one fitted model, in one file that needs no network.

The map is drawn by a script of ours and not by plotly, which would add 4 MB to every page,
reads markup and links in hover texts, and takes a second where the cut's slider has a frame.

Everything that comes from a bundle reaches the page as JSON in a block that no browser runs,
and the screen as plain text. The page's own policy allows the one script and the one style
sheet that it was written with, and nothing from elsewhere.
"""

import base64
import hashlib
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

from dimix.records import FitBundle, atomic_write
from dimix.report.fit.payload import bundle_json

MOST_BYTES = 25_000_000
SCRIPTS = ("data", "dom", "colours", "tree", "map", "cards", "curves", "main")


def write_fit_report(folder: Path) -> Path:
    """Write `report.html` from the bundle in a folder, beside it; the page's path.

    Raises:
        FileNotFoundError: the folder holds no bundle.
        ValueError: the bundle is damaged, or the page would have more than 25 MB; a bundle by
            `dimix.summary.summarise` is small enough.
    """
    page = fit_page(FitBundle.load(folder))
    text = page.encode("utf-8", "replace")  # a file's name may hold what is no character
    if len(text) > MOST_BYTES:
        raise ValueError(
            f"the page would have {len(text) / 1e6:.0f} MB, and may have {MOST_BYTES / 1e6:.0f}: "
            f"the bundle in {folder} holds too many points, columns or thumbnails"
        )
    with atomic_write(folder / "report.html", "wb") as out:
        out.write(text)
    return folder / "report.html"


def fit_page(bundle: FitBundle) -> str:
    """The whole page."""
    here = files("dimix.report.fit")
    parts = "\n".join(here.joinpath(f"{name}.js").read_text("utf-8") for name in SCRIPTS)
    script = f'"use strict";\n(() => {{\n{parts}}})();\n'
    style = here.joinpath("page.css").read_text("utf-8")
    return Template(here.joinpath("page.html").read_text("utf-8")).substitute(
        title=escape(bundle.title),
        policy=f"default-src 'none'; img-src data:; script-src {source(script)}; "
        f"style-src {source(style)}; base-uri 'none'; form-action 'none'",
        style=style,
        payload=bundle_json(bundle),
        script=script,
    )


def source(text: str) -> str:
    """What a content security policy calls an element that holds exactly this text."""
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"
