"""YAML documents with positions: YAML 1.2 scalars, duplicate keys refused, every value's line and column kept."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml

from aurora.engine.faults import Fault, Place

Key = tuple[str | int, ...]

_BASE = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NUMBER = re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_MAX_BYTES = 4_000_000
_MAX_DEPTH = 60


class _Loader(_BASE):  # type: ignore[misc, valid-type]
    """PyYAML's C loader with the resolvers of YAML 1.2's core schema, less octal, hex, infinity and NaN (rule 1)."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own interface


for _tag, _pattern, _first in (
    ("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), "tf"),
    ("tag:yaml.org,2002:null", re.compile(r"^(?:~|null|)$"), ["~", "n", ""]),
    ("tag:yaml.org,2002:int", re.compile(rf"^(?:{_INTEGER.pattern})$"), "-+0123456789"),
    ("tag:yaml.org,2002:float", re.compile(rf"^(?:{_NUMBER.pattern})$"), "-+0123456789."),
):
    _Loader.add_implicit_resolver(_tag, _pattern, list(_first))


@dataclass
class Document:
    """A parsed file: `data` as plain Python (fractions are Decimal), its source lines, and where each value stands."""

    file: str
    text: str
    data: Any = None
    places: dict[Key, Place] = field(default_factory=dict)
    key_places: dict[Key, Place] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def place(self, key: Key, *, of_key: bool = False) -> Place:
        """Return where the value at `key` (a path of names and indexes) stands, or the nearest value around it."""
        if of_key and key in self.key_places:
            return self.key_places[key]
        while key and key not in self.places:
            key = key[:-1]
        return self.places.get(key, Place(self.file))

    def fault(self, key: Key, message: str, hint: str = "", *, of_key: bool = False, offset: int = 0) -> Fault:
        """Return a fault at `key`; `offset` moves the caret right inside a one-line scalar."""
        place = self.place(key, of_key=of_key)
        if offset:
            place = Place(place.file, place.line, place.column + offset)
        return self.fault_at(place, message, hint)

    def fault_at(self, place: Place, message: str, hint: str = "") -> Fault:
        """Return a fault at `place`, with the source line there."""
        excerpt = self.lines[place.line - 1] if 0 < place.line <= len(self.lines) else ""
        return Fault(place, message, excerpt, hint)


def read_document(path: Path, shown: str) -> Document:
    """Read the YAML file at `path`, named `shown` in messages; what is wrong with it stands in `faults`."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        return Document(shown, "", faults=[Fault(Place(shown), f"the file can't be read: {error.strerror}")])
    return parse_document(raw, shown)


def parse_document(raw: bytes, shown: str) -> Document:
    """Parse YAML bytes into a Document; never raises for what the bytes hold."""
    if len(raw) > _MAX_BYTES:
        return Document(shown, "", faults=[Fault(Place(shown), f"the file is larger than {_MAX_BYTES:,} bytes")])
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        return Document(shown, "", faults=[Fault(Place(shown, line), "the file is not UTF-8 text")])
    document = Document(shown, text, lines=re.split(r"\r\n|\n|\r", text))
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        document.faults.append(_syntax(document, error))
        return document
    except yaml.YAMLError as error:
        document.faults.append(Fault(Place(shown), f"this is not YAML: {error}"))
        return document
    except RecursionError:
        document.faults.append(Fault(Place(shown), "the file nests too deeply"))
        return document
    if node is None:
        document.faults.append(Fault(Place(shown), "the file is empty"))
        return document
    document.data = _Builder(document).build(node, ())
    return document


def _syntax(document: Document, error: yaml.MarkedYAMLError) -> Fault:
    mark = error.problem_mark or error.context_mark
    place = Place(document.file, mark.line + 1, mark.column + 1) if mark else Place(document.file)
    problem = error.problem or "this is not YAML"
    context = f" {error.context}" if error.context else ""
    hint = ""
    if "expected a single document" in f"{context}{problem}":
        hint = "a file holds one document; remove the second '---'"
    elif "found character '\\t'" in problem:
        hint = "indent with spaces, not tabs"
    elif "mapping values are not allowed" in problem:
        hint = "a text that holds ': ' needs quotes"
    return document.fault_at(place, f"this is not YAML: {problem}{context and ' (' + context.strip() + ')'}", hint)


class _Builder:
    """Turns composed nodes into plain values, noting places and faults on the way."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.seen: set[int] = set()

    def build(self, node: yaml.Node, key: Key) -> Any:
        self.document.places[key] = self._place(node)
        if id(node) in self.seen:
            self._fault(node, "aliases (*name) are not part of the language", "write the value out")
            return None
        self.seen.add(id(node))
        if len(key) > _MAX_DEPTH:
            self._fault(node, f"the file nests deeper than {_MAX_DEPTH} levels")
            return None
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, key)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(item, (*key, index)) for index, item in enumerate(node.value)]
        return self._scalar(node) if isinstance(node, yaml.ScalarNode) else None

    def _mapping(self, node: yaml.MappingNode, key: Key) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self._fault(key_node, "a key must be text", 'quote it: "{{ … }}" needs quotes around it')
                continue
            name = key_node.value
            if name in result:
                self._fault(key_node, f"the key {name!r} stands twice")
                continue
            self.document.key_places[(*key, name)] = self._place(key_node)
            result[name] = self.build(value_node, (*key, name))
        return result

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        tag, text = node.tag.removeprefix("tag:yaml.org,2002:"), node.value
        if tag == "str":
            return text
        if tag == "null" and text in ("", "~", "null"):
            return None
        if tag == "bool" and text in ("true", "false"):
            return text == "true"
        if tag == "int" and _INTEGER.fullmatch(text):
            return int(text) if len(text) < 40 else self._fault(node, "the number is too long")
        if tag == "float" and _NUMBER.fullmatch(text):
            number = Decimal(text)
            return number if abs(number.adjusted()) < 100 else self._fault(node, "the number is out of range")
        return self._fault(node, f"the tag {node.tag!r} is not part of the language")

    def _place(self, node: yaml.Node) -> Place:
        return Place(self.document.file, node.start_mark.line + 1, node.start_mark.column + 1)

    def _fault(self, node: yaml.Node, message: str, hint: str = "") -> None:
        self.document.faults.append(self.document.fault_at(self._place(node), message, hint))
