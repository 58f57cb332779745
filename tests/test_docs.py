"""Pages say what the records say, and name no file that is not there."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
LINK = re.compile(r"\]\(([^)#:]+)\)|<!-- include: (\S+) -->")


def test_included_tables_are_those_of_the_records() -> None:
    command = [sys.executable, "docs/include.py", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page: Path) -> None:
    for link, included in LINK.findall(page.read_text()):
        target = page.parent / link if link else ROOT / included
        assert target.exists(), f"{page.name} names {link or included}"
