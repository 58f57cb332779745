"""Pages say what the records say, name no file that is not there, and show what runs."""

import doctest
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "docs"
DOCS = sorted(FOLDER.rglob("*.md"))
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS]
LINK = re.compile(r"\]\(([^)#:]+)\)|<!-- include: (\S+) -->")
EXAMPLE = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
WITH_EXAMPLES = [page for page in DOCS if EXAMPLE.search(page.read_text())]
LOADED = re.compile(r'<(?:script|img|link rel="(?:stylesheet|preconnect|icon)")[^>]*"(https?:)')
SLOW = ("coarsening.md", "images.md", "embeddings.md")  # fits of digits, and a deep one

BUILD = """
import socket, sys

def refuse(*_):
    raise OSError("the pages are built without a network")

socket.socket.connect = socket.getaddrinfo = refuse
from mkdocs.__main__ import cli
cli(["build", "--strict", "--site-dir", sys.argv[1]])
"""


def test_included_tables_are_those_of_the_records() -> None:
    command = [sys.executable, "docs/include.py", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page: Path) -> None:
    for link, included in LINK.findall(page.read_text()):
        target = page.parent / link if link else ROOT / included
        assert target.exists(), f"{page.name} names {link or included}"


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, id=page.name, marks=[pytest.mark.slow] * (page.name in SLOW))
        for page in WITH_EXAMPLES
    ],
)
def test_examples_run_and_give_what_the_page_says(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In order, each with the names of those before; a prompt is followed by its answer."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "__main__"}
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    said: list[str] = []
    for block in EXAMPLE.finditer(page.read_text()):
        line = page.read_text()[: block.start(1)].count("\n")
        if not block[1].startswith(">>>"):
            exec(compile("\n" * line + block[1], page.name, "exec"), names)
            continue
        test = doctest.DocTestParser().get_doctest(block[1], names, page.name, page.name, line)
        runner.run(test, out=said.append, clear_globs=False)
        names |= test.globs
    assert not runner.failures, "".join(said)


def test_every_page_is_in_the_contents() -> None:
    contents = (ROOT / "mkdocs.yml").read_text()
    for page in DOCS:
        assert f": {page.relative_to(FOLDER)}\n" in contents


@pytest.mark.slow
def test_pages_build_without_a_network_and_load_nothing_from_elsewhere(tmp_path: Path) -> None:
    command = [sys.executable, "-c", BUILD, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for page in DOCS:
        built = (tmp_path / page.relative_to(FOLDER)).with_suffix(".html").read_text()
        assert not LOADED.findall(built)
    reference = (tmp_path / "reference.html").read_text()
    assert "weight_concentration_prior" in reference
    assert "partial_fit" in reference
