"""Copy committed tables into pages: whatever stands between `include: FILE` and `end`.

    python docs/include.py            rewrite README.md and docs/*.md
    python docs/include.py --check    fail if a page's copy is not its file's content

so that a figure on a page is the one that a recorded run wrote. A missing file's place stays empty.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"(<!-- include: (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)


def filled(text: str) -> str:
    """The page with every included file's present content."""

    def fill(block: re.Match[str]) -> str:
        file = ROOT / block[2]
        content = file.read_text().strip() + "\n" if file.exists() else ""
        return f"{block[1]}{content}{block[3]}"

    return BLOCK.sub(fill, text)


def main() -> None:
    """Rewrite, or check, every page."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    stale = [page for page in pages if filled(page.read_text()) != page.read_text()]
    if "--check" in sys.argv and stale:
        sys.exit(f"not what the records say: {', '.join(page.name for page in stale)}")
    for page in stale:
        page.write_text(filled(page.read_text()))


if __name__ == "__main__":
    main()
