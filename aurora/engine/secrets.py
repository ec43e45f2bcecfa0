"""Secrets: read from the environment or a 0600 `.env`, and masked in everything that is written (engine rule 24)."""

from __future__ import annotations

import base64
import json
import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

from aurora.errors import ProjectError

MASK = "***"
SHORTEST = 8
_ESCAPED = re.compile("%..")


def read_environment(root: Path) -> dict[str, str]:
    """Return the environment with the project's `.env` under it (what is exported wins).

    Raises ProjectError when `.env` can be read by others.
    """
    path = root / ".env"
    if not path.is_file():
        return dict(os.environ)
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise ProjectError(
            f"{path} can be read by other users.",
            means="it holds secrets; nothing was run",
            todo=f"chmod 600 {path}",
        )
    from dotenv import dotenv_values  # noqa: PLC0415 - only projects with a .env pay for it

    values = {name: value for name, value in dotenv_values(path, interpolate=False).items() if value is not None}
    return {**values, **os.environ}


class Masker:
    """Replaces secrets, and the forms they take on their way, with `***`.

    Values shorter than 8 characters are not masked (777 would hit quantities): `short` names them for lint and doctor.
    """

    def __init__(self, secrets: Mapping[str, str]) -> None:
        self.short = sorted(name for name, value in secrets.items() if 0 < len(value) < SHORTEST)
        forms = {form for value in secrets.values() if len(value) >= SHORTEST for form in _forms(value)}
        ordered = sorted(forms, key=lambda form: (-len(form), form))
        self.longest = max(map(len, forms), default=0)
        """The length of the longest form of a secret; 0 when there is none."""
        self._pattern = re.compile("|".join(map(re.escape, ordered))) if ordered else None

    def text(self, text: str) -> str:
        """Return `text` with every secret masked."""
        return text if self._pattern is None else self._pattern.sub(MASK, text)

    def holds(self, text: str) -> bool:
        """Return whether a secret stands in `text`."""
        return self._pattern is not None and self._pattern.search(text) is not None

    def holds_in(self, data: Any) -> bool:
        """Return whether a secret stands in JSON data."""
        return self._pattern is not None and self.holds(json.dumps(data))

    def __call__(self, data: Any) -> Any:
        """Return JSON data with every secret masked, in keys and numbers too."""
        return data if self._pattern is None else self._walk(data)

    def _walk(self, data: Any) -> Any:
        if isinstance(data, str):
            return self.text(data)
        if isinstance(data, dict):
            return {self.text(key): self._walk(value) for key, value in data.items()}
        if isinstance(data, list):
            return [self._walk(value) for value in data]
        if isinstance(data, int | float) and not isinstance(data, bool) and self.holds(repr(data)):
            return MASK
        return data


def secrets_of(names: Iterable[str], environment: Mapping[str, str]) -> dict[str, str]:
    """Return the secrets among `environment` that a profile names."""
    return {name: environment[name] for name in names if environment.get(name)}


def _forms(value: str) -> Iterator[str]:
    parts = {value, *(line for line in value.splitlines()), *_leaves(value)}
    for part in parts:
        if len(part) < SHORTEST:
            continue
        yield part
        yield repr(part)[1:-1]
        yield json.dumps(part)[1:-1]
        yield json.dumps(part, ensure_ascii=False)[1:-1]
        for quoted in (quote(part, safe=""), quote(part), quote_plus(part)):
            yield quoted
            yield _ESCAPED.sub(lambda each: each[0].lower(), quoted)
        yield escape(part)
        yield escape(part, quote=False)
        yield escape(part).replace("&quot;", "&#34;").replace("&#x27;", "&#39;")  # as Jinja writes it
        yield from _base64_forms(part.encode("utf-8", "surrogatepass"))


def _leaves(value: str) -> Iterator[str]:
    try:
        data = json.loads(value)
    except ValueError:
        return
    stack = [data]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict):
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)


def _base64_forms(raw: bytes) -> Iterator[str]:
    """Yield what every text that holds `raw` shows of it in base64, for each of the three offsets it can stand at."""
    for offset in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            text = encode(b"\0" * offset + raw).decode()
            start = (0, 2, 3)[offset]
            end = len(text) if (len(raw) + offset) % 3 == 0 else len(text.rstrip("=")) - 1
            if end - start >= SHORTEST:
                yield text[start:end]
