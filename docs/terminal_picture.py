"""Draws the README's terminal picture: the events of a run, as the live terminal prints them, exported by rich as SVG.

python docs/terminal_picture.py RUN docs/rehearsal.svg
"""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

from aurora.engine.console import PlainLines
from aurora.engine.project import find_project
from aurora.engine.records import find_run, read_record


class Picture(PlainLines):
    """Plain lines, recorded in colour."""

    def __init__(self) -> None:
        super().__init__(io.StringIO())
        self.console = Console(record=True, width=110, file=io.StringIO(), highlight=False)

    def line(self, text: str, style: str = "") -> None:
        """Record one line."""
        self.console.print(Text(text, style=style), soft_wrap=False)


def main(run: str, target: str) -> None:
    """Draw the run `run` into the file `target`."""
    picture = Picture()
    for event in read_record(find_run(find_project(), run)).text.events:
        picture.on_event(event)
    svg = picture.console.export_svg(title="make rehearse", clear=False)
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)  # a picture in a README fetches nothing
    svg = re.sub(r"<!--.*?-->\s*", "", svg, flags=re.DOTALL)
    Path(target).write_text(svg, "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:3])
