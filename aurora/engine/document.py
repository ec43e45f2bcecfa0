"""YAML documents with positions: YAML 1.2 scalars, duplicate keys refused, every value's line and column kept."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from yaml.reader import ReaderError

from aurora.engine.faults import Fault, Place
from aurora.written_number import read_number

Key = tuple[str | int, ...]
Spot = tuple[int, int]

NUMBER = re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
MAX_DIGITS = 60
_FIRST_OF_NUMBER = frozenset("-+.0123456789")
_WORDS = {"true": True, "false": False, "null": None, "~": None, "": None}
_MAX_BYTES = 4_000_000
_MAX_DEPTH = 60
_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
"""What libyaml takes for the end of a line, so that its line numbers are ours."""


@dataclass
class Document:
    """A parsed file: `data` as plain Python (fractions are Decimal), its source lines, and where each value stands.

    `bad` holds the keys of values that a fault has been found in; nothing more needs to be said of them.
    """

    file: str
    text: str
    data: Any = None
    spots: dict[Key, Spot] = field(default_factory=dict)
    key_spots: dict[Key, Spot] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    bad: set[Key] = field(default_factory=set)
    lines: list[str] = field(default_factory=list)

    def place(self, key: Key, *, of_key: bool = False) -> Place:
        """Return where the value at `key` (a path of names and indexes) stands, or the nearest value around it."""
        if of_key and key in self.key_spots:
            return Place(self.file, *self.key_spots[key])
        while key and key not in self.spots:
            key = key[:-1]
        return Place(self.file, *self.spots.get(key, (1, 1)))

    def place_in(self, key: Key, text: str, offset: int) -> Place:
        """Return where the character `offset` of the scalar at `key`, whose value is `text`, stands in the file."""
        found = _seek(self.lines, *self.spots[key], text, offset) if key in self.spots else None
        return self.place(key) if found is None else Place(self.file, *found)

    def fault(self, key: Key, message: str, hint: str = "", *, of_key: bool = False) -> Fault:
        """Return a fault at the value at `key`, or at the key itself."""
        return self.fault_at(self.place(key, of_key=of_key), message, hint)

    def fault_at(self, place: Place, message: str, hint: str = "") -> Fault:
        """Return a fault at `place`, with the source line there."""
        written = self.lines[: place.line]
        if self.text.strip() and (place.line > len(self.lines) or not written[-1].strip()):
            while len(written) > 1 and not written[-1].strip():
                written.pop()
            place = Place(place.file, len(written), len(written[-1].rstrip()) + 1)  # behind the last that is there
        excerpt = self.lines[place.line - 1] if 0 < place.line <= len(self.lines) else ""
        return Fault(place, message, excerpt, hint)


def read_document(path: Path, shown: str) -> Document:
    """Read the YAML file at `path`, named `shown` in messages; what is wrong with it stands in `faults`."""
    try:
        with path.open("rb") as file:
            raw = file.read(_MAX_BYTES + 1)
    except OSError as error:
        hint = "let yourself read it: chmod u+r" if isinstance(error, PermissionError) else ""
        return _unreadable(shown, f"the file can't be read: {error.strerror}", hint)
    return parse_document(raw, shown)


def parse_document(raw: bytes, shown: str) -> Document:
    """Parse YAML bytes into a Document; never raises for what the bytes hold."""
    if len(raw) > _MAX_BYTES:
        return _unreadable(shown, f"the file is larger than {_MAX_BYTES:,} bytes")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        return _unreadable(shown, "the file is not UTF-8 text", "save it as UTF-8", line)
    document = Document(shown, text, lines=_BREAK.split(text))
    parser = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(text)
    try:
        document.data = _Builder(document, parser.get_event).whole()
    except yaml.MarkedYAMLError as error:
        document.faults.append(_syntax(document, error))
    except ReaderError as error:
        document.faults.append(_forbidden(document, error))
    except _GiveUp:
        pass  # why stands in the document's faults
    finally:
        parser.dispose()
    return document


def _unreadable(shown: str, message: str, hint: str = "", line: int = 1) -> Document:
    return Document(shown, "", faults=[Fault(Place(shown, line), message, "", hint)])


def _syntax(document: Document, error: yaml.MarkedYAMLError) -> Fault:
    mark = error.problem_mark or error.context_mark
    place = Place(document.file, mark.line + 1, mark.column + 1) if mark else Place(document.file)
    problem, context, hint = error.problem or "it can't be read", error.context or "", ""
    if context and error.context_mark and error.context_mark.line + 1 < place.line:
        context += f" that begins on line {error.context_mark.line + 1}"
    before = document.lines[place.line - 1][: place.column] if place.line <= len(document.lines) else ""
    if "\t" in before:
        hint = "indent with spaces, not tabs"
    elif "mapping values are not allowed" in problem:
        hint = "a text that holds ': ' needs quotes"
    elif "flow" in context and "expected ','" in problem:
        hint = "inside { } and [ ], a text that holds one of , [ ] { } needs quotes"
    elif "cannot start any token" in problem or "alphabetic or numeric" in problem:
        hint = "a text that begins with this character needs quotes"
    return document.fault_at(place, f"this is not YAML: {problem}{f' ({context})' if context else ''}", hint)


def _forbidden(document: Document, error: ReaderError) -> Fault:
    before = _BREAK.split(document.text.encode()[: error.position].decode(errors="ignore"))
    place = Place(document.file, len(before), len(before[-1]) + 1)
    code = error.character if isinstance(error.character, int) else ord(error.character)
    return document.fault_at(place, f"the character U+{code:04X} can't stand in YAML", "remove it")


class _GiveUp(Exception):
    """The rest of the file makes no sense."""


class _Builder:
    """Turns the parser's events into plain values, noting places and faults on the way."""

    def __init__(self, document: Document, next_event: Callable[[], Any]) -> None:
        self.document = document
        self.next = next_event

    def whole(self) -> Any:
        self.next()  # the stream starts
        event = self.next()
        if isinstance(event, yaml.StreamEndEvent):
            self._fault((1, 1), "the file is empty")
            return None
        value = self.build(self.next(), ())
        self.next()  # the document ends
        event = self.next()
        if not isinstance(event, yaml.StreamEndEvent):
            self._fault(_spot(event), "a second document begins here", "a file holds one; remove the '---'")
        return value

    def build(self, event: Any, key: Key) -> Any:
        spot = self.document.spots[key] = _spot(event)
        if isinstance(event, yaml.AliasEvent):
            self._bad(key, spot, f"aliases (*{event.anchor}) are not part of the language", "write the value out")
            return None
        if event.anchor is not None:
            self._fault(spot, f"anchors (&{event.anchor}) are not part of the language", "remove it")
        if event.tag is not None:
            self._bad(key, spot, f"tags ({event.tag}) are not part of the language", "remove it")
        if isinstance(event, yaml.ScalarEvent):
            return self._plain(event.value, key, spot) if event.implicit[0] else event.value
        if len(key) >= _MAX_DEPTH:
            self._fault(spot, f"the file nests deeper than {_MAX_DEPTH} levels")
            raise _GiveUp
        return self._mapping(key) if isinstance(event, yaml.MappingStartEvent) else self._sequence(key)

    def _sequence(self, key: Key) -> list[Any]:
        result: list[Any] = []
        while not isinstance(event := self.next(), yaml.SequenceEndEvent):
            result.append(self.build(event, (*key, len(result))))
        return result

    def _mapping(self, key: Key) -> dict[str, Any]:
        result: dict[str, Any] = {}
        while not isinstance(event := self.next(), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                self._no_key(event, key)
                self._skip(event)
                self._skip(self.next())
                continue
            name, spot = event.value, _spot(event)
            if event.anchor is not None or event.tag is not None:
                self._fault(spot, "a key is plain text, without anchor or tag", "remove it")
            here: Key = (*key, name)
            if name in result:
                first = self.document.key_spots[here][0]
                self._fault(spot, f"the key {name!r} stands twice", f"the first is on line {first}")
                self._skip(self.next())
                continue
            self.document.key_spots[here] = spot
            result[name] = self.build(self.next(), here)
        return result

    def _no_key(self, event: Any, key: Key) -> None:
        line, column = self.document.spots[key]
        written = self.document.lines[line - 1][column - 1 :]
        if written.startswith("{{"):
            inner = written.partition("}}")[0].removeprefix("{{").strip() or "…"
            message = "{{ }} needs quotes around it, or YAML takes it for a map"
            self._bad(key, (line, column), message, f'write "{{{{ {inner} }}}}"')
        else:
            self._bad(key, _spot(event), "a key must be text")

    def _skip(self, event: Any) -> None:
        depth = 0
        while True:
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth == 0:
                return
            event = self.next()

    def _plain(self, text: str, key: Key, spot: Spot) -> Any:
        """Resolve an unquoted scalar by YAML 1.2's core schema, less octal, hexadecimal, infinity and NaN (rule 1)."""
        if text in _WORDS:
            return _WORDS[text]
        if text[0] not in _FIRST_OF_NUMBER or not NUMBER.fullmatch(text):
            return text
        number = read_number(text, MAX_DIGITS) if len(text) <= MAX_DIGITS else None
        if number is None:
            self._bad(key, spot, "the number is too long", "quote it if it is text")
            return None
        return int(text) if INTEGER.fullmatch(text) else number

    def _bad(self, key: Key, spot: Spot, message: str, hint: str = "") -> None:
        self.document.bad.add(key)
        self._fault(spot, message, hint)

    def _fault(self, spot: Spot, message: str, hint: str = "") -> None:
        self.document.faults.append(self.document.fault_at(Place(self.document.file, *spot), message, hint))


def _spot(event: Any) -> Spot:
    mark = event.start_mark
    return mark.line + 1, mark.column + 1


# Where a character of a scalar's value stands in the file. Folding and indentation change white space only, so the
# other characters are counted; `''` and escapes are one character each.

_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.?))")
_WHITE_ESCAPES = frozenset(["", " ", "\t", "t", "n", "r", "v", "f", "N", "_", "L", "P"])


def _seek(lines: list[str], line: int, column: int, text: str, offset: int) -> Spot | None:
    row, column = line - 1, column - 1
    style = lines[row][column : column + 1]
    if style and style in "|>":
        row, column = row + 1, 0
    elif style and style in "'\"":
        column += 1
    before = sum(not character.isspace() for character in text[:offset])
    at_end = offset >= len(text.rstrip())
    while row < len(lines):
        while column < len(lines[row]):
            width, white = _character(lines[row], column, style)
            if not white:
                if before == 0:
                    return row + 1, column + 1
                before -= 1
                if before == 0 and at_end:
                    return row + 1, column + width + 1
            column += width
        row, column = row + 1, 0
    return None


def _character(line: str, column: int, style: str) -> tuple[int, bool]:
    """Return how wide the character of the value at `column` is written, and whether it is white space."""
    if style == "'" and line.startswith("''", column):
        return 2, False
    if style == '"' and line[column] == "\\":
        match = _ESCAPE.match(line, column)
        assert match is not None
        code = match[1] or match[2] or match[3]
        white = chr(min(int(code, 16), 0x10FFFF)).isspace() if code else match[4] in _WHITE_ESCAPES
        return len(match[0]), white
    return 1, line[column].isspace()
