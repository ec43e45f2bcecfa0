"""Faults as people see them: place, sentence, picture, hint."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.engine.faults import Fault, Place, RunbookError, did_you_mean, listed, visible


def picture(excerpt: str, column: int) -> tuple[str, int]:
    """Return the line as shown and the offset of the caret under it."""
    _, line, caret = str(Fault(Place("f.yaml", 1, column), "wrong", excerpt)).split("\n")
    return line[4:], len(caret) - 5


def test_a_fault_is_a_place_a_sentence_a_picture_and_a_hint() -> None:
    """Lint's form: `file:line:col: message`, the line with a caret under the character, what to do."""
    fault = Fault(Place("f.yaml", 3, 5), "wrong", "  - {id: a}", "write it right")
    assert str(fault) == "f.yaml:3:5: wrong\n      - {id: a}\n        ^\n    write it right"


def test_without_a_line_there_is_no_picture() -> None:
    """A file that can't be read has a place and a reason, no empty line with a caret."""
    assert str(Fault(Place("f.yaml"), "wrong")) == "f.yaml:1:1: wrong"


@given(st.text(st.characters(exclude_characters="\n\r"), min_size=1, max_size=400), st.integers(1, 420))
def test_the_caret_stands_under_the_character(excerpt: str, column: int) -> None:
    """Whatever the line holds and however long it is, the caret stands under the column's character."""
    line, caret = picture(excerpt, column)
    assert 0 <= caret <= len(line) * 2 + 1
    assert len(line) < 900


def test_a_long_line_is_cut_around_the_column() -> None:
    """A flow map of 300 characters shows the 100 around the fault, and that there is more."""
    line, caret = picture("a" * 150 + "X" + "b" * 150, 151)
    assert line.startswith("… ")
    assert line.endswith(" …")
    assert line[caret] == "X"


def test_tabs_and_control_characters_take_their_room() -> None:
    """A tab is one blank, a control character is written out; the caret moves with what is shown."""
    line, caret = picture("\ta\x1b[31m\u202eX", 9)
    assert line == " a\\u001b[31m\\u202eX"
    assert line[caret] == "X"


def test_wide_characters_are_as_wide_as_terminals_show_them() -> None:
    """Under Chinese text the caret moves two cells a character, under combining marks none."""
    _, caret = picture("日本X", 3)
    assert caret == 4
    _, caret = picture("e\u0301X", 3)
    assert caret == 1


def test_all_faults_are_carried_in_file_order_and_once() -> None:
    """RunbookError holds every fault, sorted by place, counts them, and refuses with exit 2."""
    first, second = Fault(Place("a.yaml", 2, 1), "one"), Fault(Place("a.yaml", 10, 1), "two")
    error = RunbookError([second, first, second])
    assert error.faults == (first, second)
    assert error.exit_code == 2
    assert error.what.index("one") < error.what.index("two")
    assert "2 faults found; nothing was run" in error.diagnostics()


@pytest.mark.parametrize(("word", "hint"), [("depnds", "did you mean 'depends'?"), ("zzz", ""), ("", "")])
def test_did_you_mean_names_the_nearest_or_nothing(word: str, hint: str) -> None:
    """A hint is given for a near word only; a far one would mislead."""
    assert did_you_mean(word, ["depends", "needs", "uses"]) == hint


def test_long_lists_are_counted() -> None:
    """A message lists what fits and says how many more there are."""
    assert listed(["a", "b", "c"], 2) == "a, b … and 1 more"
    assert listed(["a", "b"], 2) == "a, b"


def test_what_could_redraw_a_terminal_is_written_out() -> None:
    """Escape sequences and direction marks from a file never reach a terminal as such."""
    assert visible("a\x1b[2Jb\u202e\r\n") == "a\\u001b[2Jb\\u202e\\u000d\\u000a"
    assert visible("Überprüfung ✔") == "Überprüfung ✔"
