"""What a step says reaches a person as text: nothing in it acts on her terminal or passes for a line of Aurora's."""

from __future__ import annotations

import json
import math
import re

import pytest

from aurora.commands.main import say_error
from aurora.engine.console import LiveTerminal
from aurora.engine.workers import Progress
from aurora.errors import AuroraError
from tests.engine.kit import Lab

EVIL = (
    "\x1b]0;owned\x07\x1b]8;;http://evil.example\x07link\x1b[2J\x1b[31m\x9b1m\u202egnp\u2066 \u200b[bold]b[/bold] "
    "{{ 7*7 }} <script> **md** \x00\x08\r\nGREEN  exit 0  0.0 s\n\u2028GREEN  exit 0  0.0 s\x85GREEN  exit 0  0.0 s\x7f"
)
NASTY = f"""
from dataclasses import dataclass
from aurora.engine.context import Context
from aurora.engine.registry import step

EVIL = {EVIL!r}

@dataclass(frozen=True)
class Out:
    text: str = EVIL
    long: str = "x" * 7_000_000
    number: float = float("nan")
    most: float = float("inf")
    table: dict[str, str] | None = None

def tell(context: Context) -> None:
    print(EVIL)
    context.log(EVIL)
    for total in (-1.0, 1e300, 2.0):
        context.progress(1.0, total, EVIL)

@step(repeat="safe")
def speak(context: Context) -> Out:
    tell(context)
    return Out(table={{EVIL: EVIL}})

@step(repeat="safe")
def fail(context: Context) -> Out:
    tell(context)
    raise type(EVIL.replace(chr(0), ""), (RuntimeError,), {{}})(EVIL)
"""
ASKED = json.dumps(EVIL.replace("{{ 7*7 }}", ""))  # in a question, lint refuses templates
BOOK = f"""
    steps:
      - id: speak
        uses: nasty.speak
        gate:
          - {{check: "text == ''", severity: advisory}}
          - {{check: "table is none or long == ''", severity: advisory}}
          - {{check: "number > 1", severity: advisory}}
          - {{check: "most < 1", severity: advisory}}
      - id: look
        confirm: {ASKED}
        checklist: [{ASKED}]
      - {{id: fail, uses: nasty.fail}}
"""
# What rich draws with: colours, the cursor's way up, and lines and the cursor cleared and hidden.
_OURS = re.compile(r"\x1b\[(?:[0-9;]*m|[0-9]*[AK]|\?25[lh])")
_ACTS = re.compile("[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]")


def nasty(lab: Lab) -> Lab:
    """Give the lab steps that say and return hostile text, and a runbook of them."""
    lab.steps("nasty", NASTY)
    lab.book(BOOK)
    return lab


def assert_harmless(screen: str) -> None:
    """Hold that there are no characters that act but our own, and no line that imitates the end of a run."""
    plain = _OURS.sub("", screen)
    assert not _ACTS.findall(plain)
    assert not re.findall(r"(?m)^ {0,3}GREEN", plain)  # further in stand the lines of a step's own error


@pytest.mark.slow
def test_a_live_terminal_shows_hostile_text_as_text(lab: Lab) -> None:
    """On a real terminal: outputs, gates, prompts, logs, progress and errors of steps do nothing, and none is lost."""
    terminal = nasty(lab).terminal("runbook", "book")
    terminal.see("1/1")
    screen = str(terminal.screen.before)
    terminal.see("[y/n]")
    screen += str(terminal.screen.before)
    terminal.type("y\n")
    code, rest = terminal.end(60)
    assert code == 1
    assert_harmless(screen + rest)
    assert "BROKEN  exit 1" in rest  # the view is whole to its end
    assert "owned" in screen
    assert "owned" in rest


@pytest.mark.slow
def test_lines_and_records_show_hostile_text_as_text(lab: Lab) -> None:
    """In a pipe, and from the record with `show` and `runs`; with `--json` every line is one JSON document."""
    nasty(lab).write("yes.yaml", "look: yes\n")
    done = lab.command("runbook", "book", "--answers", "yes.yaml")
    assert done.returncode == 1, done.stderr
    seen = [done.stdout, done.stderr, *(lab.command(*words).stdout for words in (["show", "last"], ["runs"]))]
    for text in seen:
        assert_harmless(text)
    assert "owned" in seen[2]
    for words in (["show", "last", "--json"], ["runs", "--json"]):
        text = lab.command(*words).stdout
        assert text.isascii()
        assert all(json.loads(line) for line in text.splitlines())


@pytest.mark.parametrize(
    ("done", "total"),
    [(1, math.nan), (math.nan, 2), (math.inf, math.inf), (1, -math.inf), (10**400, 10**401), (1e300, 1e308), (-1, 2)],
)
def test_a_progress_that_is_no_share_ends_no_view(
    done: float, total: float, capsys: pytest.CaptureFixture[str]
) -> None:
    """A listener that fails is told nothing more, so a step's odd numbers must not make the live view fail."""
    live = LiveTerminal()
    live._started["speak"] = 0.0
    live.on_progress("speak", Progress(done, total, EVIL))
    live._console.print(live.drawn(1.0))
    shown = capsys.readouterr().out
    assert "speak" in shown
    assert_harmless(shown)


def test_an_error_is_said_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    """What an error quotes of a file, a journal or a program does nothing; its own lines stay lines."""
    say_error(AuroraError("a\x1b]0;owned\x07\u202e", means="b\x9b", todo="c"))
    assert capsys.readouterr().err == "aurora: a\\u001b]0;owned\\u0007\\u202e\n  means: b\\u009b\n  to do: c\n"


def test_progress_that_is_no_number_breaks_nothing(lab: Lab) -> None:
    """A step may say that it is NaN of infinity done: it is shown as not known, and the step passes."""
    lab.steps(
        "odd",
        """
        from aurora.engine.context import Context
        from aurora.engine.registry import step

        @step(repeat="safe")
        def far(context: Context) -> None:
            for done, total in ((float("nan"), 2), (1, float("inf")), (float("-inf"), float("nan"))):
                context.progress(done, total, "odd")
        """,
    )
    lab.book("\n    steps:\n      - {id: a, uses: odd.far}\n")
    assert lab.run().outcome == "green"
