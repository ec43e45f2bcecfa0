"""Code examples of the documentation, as code that tests can run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType

ROOT = Path(__file__).resolve().parents[2]
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """One block of code in a page; `line` is where its code begins."""

    page: Path
    line: int
    text: str

    @property
    def code(self) -> CodeType:
        """Return its code; a traceback shows the page's own line."""
        return compile("\n" * (self.line - 1) + self.text, str(self.page), "exec", dont_inherit=True)


def blocks(name: str, language: str = "python") -> list[Block]:
    """Return the blocks of a language in `docs/<name>`, in order."""
    return list(_found(ROOT / "docs" / name, language))


def _found(page: Path, language: str) -> Iterator[Block]:
    text = page.read_text("utf-8")
    for match in _BLOCK.finditer(text):
        if match[1] == language:
            yield Block(page, text.count("\n", 0, match.start(2)) + 1, match[2])
