"""`python -m benchmarks.pages`: compute every page's tables, and the cards of shipped policies, from what is stored.

Nothing is rolled out or trained. A file that says already what its arrays say is not touched. `--pictures` draws the
figures anew as well, whose bytes depend on the versions of the libraries that draw.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from benchmarks.study2.writing import rewritten

ROOT: Final = Path(__file__).resolve().parents[1]
DOCS: Final = ROOT / "docs"

Tables = Callable[[], Mapping[str, str]]
"""Returns the tables of a page by the names of their marks."""


def _first() -> Mapping[str, str]:
    from benchmarks.study.page import tables  # noqa: PLC0415 - one study may lack what another needs

    return tables()


def _second() -> Mapping[str, str]:
    from benchmarks.study2 import published, writing  # noqa: PLC0415 - as above

    return writing.tables(published.published())


def _third() -> Mapping[str, str]:
    from benchmarks.study3 import lengths, writing  # noqa: PLC0415 - as above

    return writing.tables(writing.read(), lengths.read(writing.FOLDER))


def _under() -> Mapping[str, str]:
    from benchmarks.under import measuring, writing  # noqa: PLC0415 - as above

    return writing.tables(measuring.published())


def _learned() -> Mapping[str, str]:
    from benchmarks.learned import ages, running, writing  # noqa: PLC0415 - as above

    return writing.tables(running.everything(), ages.published_ages())


def _recall() -> Mapping[str, str]:
    from benchmarks.recall import subjects, writing  # noqa: PLC0415 - as above

    return writing.tables(writing.published(subjects.THREE), writing.published(subjects.TWO), writing.cards())


def _policies() -> Mapping[str, str]:
    from benchmarks.seeds import writing as aims  # noqa: PLC0415 - as above
    from benchmarks.shipping import writing  # noqa: PLC0415 - as above

    return aims.tables() | writing.tables()


PAGES: Final[Mapping[str, Tables]] = MappingProxyType(
    {
        "compression-study.md": _first,
        "compression-study-2.md": _second,
        "compression-study-3.md": _third,
        "trained-under-compression.md": _under,
        "learned-compression.md": _learned,
        "repeat-previous.md": _recall,
        "policies.md": _policies,
    }
)
"""The function that computes the tables of each page of docs."""


def computed() -> Iterator[tuple[Path, str]]:
    """Yield every page and card with its text, the tables computed anew."""
    for name, tables in PAGES.items():
        yield DOCS / name, rewritten((DOCS / name).read_text(encoding="utf-8"), dict(tables()))
    from benchmarks.shipping import measured, writing  # noqa: PLC0415 - as above

    for name, text in writing.cards().items():
        yield measured.folders()[name] / "README.md", text


def write() -> list[Path]:
    """Write what says something else than its arrays, and return these files."""
    changed = []
    for path, text in computed():
        if path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            changed.append(path)
    return changed


def draw() -> None:
    """Draw every figure of these pages, and those of the cards, from stored arrays."""
    from benchmarks.learned import drawing as learned  # noqa: PLC0415 - as above
    from benchmarks.recall import drawing as recall  # noqa: PLC0415
    from benchmarks.shipping import writing as shipping  # noqa: PLC0415
    from benchmarks.study2 import drawing as second  # noqa: PLC0415
    from benchmarks.study2 import published  # noqa: PLC0415
    from benchmarks.study3 import writing as third  # noqa: PLC0415

    second.draw(published.published())
    third.draw(third.read())
    learned.draw()
    recall.draw()
    shipping.draw(DOCS / "images")


def main() -> None:
    """Write what has changed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pages", description=__doc__)
    parser.add_argument("--pictures", action="store_true", help="draw the figures anew as well")
    if parser.parse_args().pictures:
        draw()
    changed = write()
    print("\n".join(str(path.relative_to(ROOT)) for path in changed) or "every page says what its arrays say")


if __name__ == "__main__":
    main()
