"""YAML documents: every value's place, what is refused and where the caret stands."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from aurora.engine.document import Document, parse_document, read_document


def parsed(text: str) -> Document:
    """Return the document that `text` is; it has no faults."""
    document = parse_document(text.encode(), "f.yaml")
    assert not document.faults, list(map(str, document.faults))
    return document


def faults(text: str | bytes) -> list[str]:
    """Return the faults of `text`, each as people see it."""
    raw = text if isinstance(text, bytes) else text.encode()
    return list(map(str, parse_document(raw, "f.yaml").faults))


# ── Places ───────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_each_value_and_each_key_has_its_place() -> None:
    """Engine rule 1: line and column, from 1, of values and of keys, at any depth."""
    document = parsed("a:\n  - x: 1\n    y: [2, ü, {z: 3}]\n")
    assert str(document.place(("a", 0, "x"))) == "f.yaml:2:8"
    assert str(document.place(("a", 0, "x"), of_key=True)) == "f.yaml:2:5"
    assert str(document.place(("a", 0, "y", 2, "z"))) == "f.yaml:3:19"


def test_a_value_that_is_not_there_stands_where_it_would() -> None:
    """A fault about a missing key points at the map that lacks it."""
    document = parsed("a:\n  b: 1\n")
    assert document.place(("a", "c", "d")) == document.place(("a",))
    assert str(document.place(("q",))) == "f.yaml:1:1"


SCALARS = {
    "plain": "k: one two three\n",
    "single": "k: 'one two three'\n",
    "double": 'k: "one two three"\n',
    "folded plain": "k: one\n   two\n   three\n",
    "folded single": "k: 'one\n   two\n\n   three'\n",
    "folded double": 'k: "one\n   two \\\n   three"\n',
    "literal": "k: |\n  one\n  two\n  three\n",
    "literal, indented more": "k: |2-\n     one two\n    three\n",
    "folded": "k: >-\n  one\n  two\n\n  three\n",
    "escapes": 'k: "\\x6fne\\t\\u0074wo\\n\\U00000074hree"\n',
    "in a flow map": "k: {a: [x], b: y} \n".replace("{a: [x], b: y} ", "one two three"),
    "with a comment after the header": "k: | # here\n  one\n  two\n  three\n",
    "windows": "k: |\r\n  one\r\n  two\r\n  three\r\n",
    "quotes inside": "k: 'o''ne two three'\n",
    "escaped quotes": 'k: "o\\"ne two three"\n',
}


@pytest.mark.parametrize("text", SCALARS.values(), ids=SCALARS)
def test_a_caret_stands_under_its_character_however_the_scalar_is_written(text: str) -> None:
    """Lint points at a character of a scalar's value: plain, quoted, escaped, folded or a block."""
    document = parsed(text)
    value = document.data["k"]
    for word in ("two", "three"):
        place = document.place_in(("k",), value, value.index(word))
        at = document.lines[place.line - 1][place.column - 1 :]
        assert at.startswith((word[:2], "\\u0074wo", "\\U00000074"))


@given(
    st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufeff\x85\u2028\u2029"), min_size=1),
    st.sampled_from(["'", '"', "|", ">"]),
    st.integers(20, 200),
)
def test_every_character_that_can_be_seen_is_found_in_the_file(value: str, style: str, width: int) -> None:
    """The place of each visible character of a value is a place of that character in the source."""
    text = yaml.safe_dump({"k": value}, default_style=style, allow_unicode=True, width=width)
    document = parse_document(text.encode(), "f.yaml")
    found = document.data["k"] if not document.faults else None
    if found != value:
        return  # not written in a form that the language reads, such as a tag or an escape of YAML 1.1
    for offset, character in enumerate(value):
        if not character.isspace():
            place = document.place_in(("k",), value, offset)
            at = document.lines[place.line - 1][place.column - 1 :]
            assert at.startswith((character, "\\"))


def test_the_end_of_a_scalar_is_behind_its_last_character() -> None:
    """A fault at the end of an expression points behind it, not at the next line."""
    document = parsed("k: a and\nm: 1\n")
    assert str(document.place_in(("k",), "a and", 5)) == "f.yaml:1:9"


def test_lines_are_counted_as_yaml_counts_them() -> None:
    """The parser takes U+0085, U+2028 and U+2029 for line ends; the excerpt is the line it means."""
    document = parse_document("a: 1\u2028b: 2\r\nc: 3\rd: *x\n".encode(), "f.yaml")
    assert document.faults[0].place.line == 4
    assert document.faults[0].excerpt == "d: *x"


def test_a_byte_order_mark_is_no_character() -> None:
    """A file from Windows may begin with one; columns do not count it."""
    document = parse_document(b"\xef\xbb\xbfa: 1\n", "f.yaml")
    assert document.data == {"a": 1}
    assert str(document.place(("a",))) == "f.yaml:1:4"


# ── Scalars ──────────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("text", ["012", "0o17", "0x1F", "1_000", "10:30", "yes", "NO", "True", ".inf", "-.NaN", "1e"])
def test_what_is_not_in_the_core_schema_is_text(text: str) -> None:
    """Engine rule 1: no octal, hexadecimal, sexagesimal, infinity or YAML 1.1 boolean."""
    assert parsed(f"k: {text}").data == {"k": text}


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        ("-0", 0),
        ("+7", 7),
        ("0.10", Decimal("0.10")),
        (".5", Decimal("0.5")),
        ("1.", Decimal(1)),
        ("1e3", 1000),
    ],
)
def test_numbers_are_exact(text: str, number: int | Decimal) -> None:
    """Engine rule 4: whole numbers are int, fractions are Decimal, digit for digit."""
    found = parsed(f"k: {text}").data["k"]
    assert found == number
    assert str(found).rstrip("0").rstrip(".") in (str(number).rstrip("0").rstrip("."), "1E+3")


@pytest.mark.parametrize("text", ["1e61", "1e-61", "0e999999999", "9" * 61, "0." + "9" * 60])
def test_numbers_have_bounds(text: str) -> None:
    """A number that no quantity is like is a fault, not a computation of minutes."""
    (fault,) = faults(f"k: {text}")
    assert "the number is too long" in fault


def test_quoted_scalars_are_text() -> None:
    """Quotes keep what is between them from being a number, a boolean or nothing."""
    assert parsed("a: '1'\nb: \"true\"\nc: ''\nd: 'null'").data == {"a": "1", "b": "true", "c": "", "d": "null"}


def test_keys_are_text() -> None:
    """A key is what is written: 1 and true are the texts 1 and true."""
    assert parsed("1: a\ntrue: b\n2026-01-01: c\n").data == {"1": "a", "true": "b", "2026-01-01": "c"}


# ── What is refused ──────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("text", "place", "says", "hint"),
    [
        ("a: &x 1", "1:4", "anchors (&x)", "remove it"),
        ("a: &x [1]\nb: *x", "2:4", "aliases (*x)", "write the value out"),
        ("a: !!str 3", "1:4", "tags (tag:yaml.org,2002:str)", "remove it"),
        ("a: ! 3", "1:4", "tags (!)", "remove it"),
        ("&x a: 1", "1:1", "a key is plain text", "remove it"),
        ("? [a]\n: 1", "1:3", "a key must be text", ""),
        ("a: 1\nb:\n  c: 1\n  c: 2", "4:3", "the key 'c' stands twice", "the first is on line 3"),
        ("a: 1\n---\nb: 1", "2:1", "a second document begins here", "remove the '---'"),
        ("a: {{ params.n }}", "1:4", "{{ }} needs quotes around it", 'write "{{ params.n }}"'),
        ("a: [{{ x }}, 1]", "1:5", "{{ }} needs quotes around it", 'write "{{ x }}"'),
        ("a: {b: {{ x }}}", "1:8", "{{ }} needs quotes around it", 'write "{{ x }}"'),
        ("a: [1,\n  2\nb: 3", "3:2", "that begins on line 1", ""),
        ("a:\n\t- b", "2:1", "cannot start any token", "indent with spaces, not tabs"),
        ("a: b: c", "1:5", "mapping values are not allowed", "needs quotes"),
        ("a: @x", "1:4", "cannot start any token", "begins with this character needs quotes"),
        ("a: {g: x[0] == 1}", "1:9", "did not find expected ',' or '}'", "needs quotes"),
        ("ü: \x07", "1:4", "the character U+0007", "remove it"),
    ],
)
def test_what_is_not_in_the_language_is_refused_where_it_stands(text: str, place: str, says: str, hint: str) -> None:
    """Engine rule 1: no aliases, tags, complex or double keys, second documents; a fault says what to do."""
    found = next(fault for fault in faults(text) if says in fault)
    assert found.startswith(f"f.yaml:{place}: ")
    assert hint in found


def test_faults_do_not_hide_each_other() -> None:
    """All faults that parsing can go on after are told, and what is sound is kept."""
    document = parse_document(b"a: *x\nb: 1\nb: 2\nc: !!int 3\nd: {{ x }}\n", "f.yaml")
    assert [fault.place.line for fault in document.faults] == [1, 3, 4, 5]
    assert document.data["b"] == 1
    assert document.bad == {("a",), ("c",), ("d",)}


@pytest.mark.parametrize("text", ["", "# only a comment\n", "\n\n"])
def test_an_empty_file_is_said_to_be_empty(text: str) -> None:
    """Nothing is no document."""
    assert "the file is empty" in faults(text)[0]


@pytest.mark.parametrize(
    "text", ["[" * 300_000, "- " * 100_000, "{a: " * 100_000, "[" * 100_000 + "]" * 100_000], ids=lambda text: text[:4]
)
def test_depth_has_an_end(text: str) -> None:
    """A file that nests without end is a fault; it does not end the process (PyYAML's composer recurses in C)."""
    assert "nests deeper than 60 levels" in faults(text)[0]


def test_what_is_no_text_is_refused() -> None:
    """A file in another encoding is named by the line of its first wrong byte."""
    assert faults(b"a: 1\nb: \xff\n")[0].startswith("f.yaml:2:1: the file is not UTF-8 text")


def test_a_file_too_large_is_refused() -> None:
    """Four megabytes are more than any checklist; more is not even parsed."""
    assert "larger than 4,000,000 bytes" in faults(b"a" * 4_000_001)[0]


def test_a_file_that_can_not_be_read_is_a_fault(tmp_path: Path) -> None:
    """No file, or a folder: the reason stands in the fault, nothing is raised."""
    (tmp_path / "folder.yaml").mkdir()
    for name, says in (("nowhere.yaml", "No such file"), ("folder.yaml", "Is a directory")):
        (fault,) = read_document(tmp_path / name, name).faults
        assert str(fault).startswith(f"{name}:1:1: the file can't be read: {says}")


# ── Never an exception ───────────────────────────────────────────────────────────────────────────────────────────────
YAMLISH = st.text(st.sampled_from(list("{}[]:,-?!&*#|>%@`'\"\\ \n\t\r~ab01.\x85\u2028é")), max_size=80)


@given(YAMLISH)
def test_no_yaml_of_any_shape_breaks_the_reader(text: str) -> None:
    """Text made of YAML's own signs gives a document or faults, each of which can be shown."""
    document = parse_document(text.encode(), "f.yaml")
    assert all(str(fault).startswith("f.yaml:") for fault in document.faults)
    assert all(fault.place.line <= len(document.lines) for fault in document.faults)
    for key in [*document.spots, ("nowhere",)]:
        assert document.fault(key, "wrong").place.line <= len(document.lines)


PLAIN = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Cn"], exclude_characters="\ufeff\ufffe\uffff"), max_size=8
)
JSON = st.recursive(PLAIN | st.integers(-9999, 9999) | st.booleans() | st.none(),
                    lambda inner: st.lists(inner) | st.dictionaries(PLAIN, inner), max_leaves=12)  # fmt: skip


@given(JSON)
def test_json_is_read_as_it_is_written(data: object) -> None:
    """YAML 1.2 holds JSON: whatever is written as JSON comes back the same."""
    assert parsed(json.dumps({"k": data}, ensure_ascii=False)).data == {"k": data}


def test_a_fault_at_the_end_of_a_file_shows_its_last_line() -> None:
    """What is never closed is told behind the last character, with the line that is there."""
    assert "f.yaml:1:7: " in faults("a: [1,\n")[0]
    assert "a: [1," in faults("a: [1,\n")[0]
