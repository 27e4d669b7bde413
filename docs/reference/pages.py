"""Pages of the site that lie outside docs/, and links that leave it; `make docs` calls this.

README, CONTRIBUTING and CHANGELOG become pages, the decisions get a list. A link to a folder of the tree that the site
does not hold becomes the folder's name. Nothing here reads the packages.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]
PAGES = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
"""Pages by their path in the tree."""

LINK = re.compile(r"(?P<text>\[[^\]]*\])\((?P<target>[^)\s#:]*)(?P<anchor>#[^)]*)?\)")


def on_files(files: Files, config: Any) -> Files:  # noqa: ANN401 - mkdocs's own type of configuration
    """Add the pages that lie outside docs/."""
    for source, page in PAGES.items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text(encoding="utf-8")))
    files.append(File.generated(config, "decisions/index.md", content=_decisions()))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:  # noqa: ANN401 - as above
    """Return a page whose links stay inside the site."""
    found = next((source for source, path in PAGES.items() if path == page.file.src_uri), None)
    here = ROOT if found else (ROOT / "docs" / page.file.src_uri).parent
    depth = page.file.src_uri.count("/")
    return LINK.sub(lambda link: _inside(link, here, depth), markdown)


def _inside(link: re.Match[str], here: Path, depth: int) -> str:
    """Return a link as the site has it; what the site does not hold is only named."""
    if not link["target"]:
        return link[0]
    target, anchor = (here / link["target"]).resolve(), link["anchor"] or ""
    up = "../" * depth
    docs = ROOT / "docs"
    if not target.is_relative_to(ROOT):
        return link[0]
    if (name := str(target.relative_to(ROOT))) in PAGES:
        return f"{link['text']}({up}{PAGES[name]}{anchor})"
    if target == docs / "decisions":
        return f"{link['text']}({up}decisions/index.md)"
    if target.is_relative_to(docs) and target.suffix:
        return f"{link['text']}({up}{target.relative_to(docs)}{anchor})"
    return f"{link['text'][1:-1]} (`{name}`)"


def _decisions() -> str:
    """Return a page that lists the decisions, newest last."""
    lines = ["# Decisions", "", "What was measured, and what was rejected.", ""]
    for path in sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md")):
        title = path.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ")
        lines.append(f"- [{title}]({path.name})")
    return "\n".join(lines)
