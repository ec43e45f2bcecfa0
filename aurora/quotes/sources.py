"""Which quote sources there are: one table, read by `open_quotes`.

A source is named by text, in runbooks and on the command line:

    dummy                                    generated quotes, seed 7
    dummy:seed=11,gaps_per_hour=30           options after the colon, a comma between them
    replay:../data/lean                      a recording: a Lean data folder, one of its zip files, or a session.jsonl
    replay:../data/lean?day=2013-10-08&start=10:30    options after the question mark; times are New York's

Both go as fast as they can; `speed=1` lets them take real time, `speed=10` a tenth of it: for a person who watches.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from pathlib import Path

from aurora.errors import UsageError, VenueRefusal
from aurora.quotes.base import QuoteSource
from aurora.quotes.dummy import DEFAULT_SEED, open_dummy
from aurora.quotes.replay import open_replay

Opener = Callable[[str, Mapping[str, str], Path, int], QuoteSource]


def _refuse_ibkr(target: str, options: Mapping[str, str], root: Path, seed: int) -> QuoteSource:  # noqa: ARG001 - the table's signature
    raise VenueRefusal(
        "Quotes from IBKR come from an account, and there is none here.",
        means="nothing was connected",
        todo="use dummy or replay:PATH, or ask for them with a profile that has one",
    )


SOURCES: dict[str, tuple[Opener, str]] = {
    # kind: (what opens it, the sign between its target and its options)
    "dummy": (open_dummy, ":"),
    "replay": (open_replay, "?"),
    "ibkr": (_refuse_ibkr, ":"),
}


def open_quotes(spec: str, *, root: Path, seed: int = DEFAULT_SEED) -> QuoteSource:
    """Open the quote source that `spec` names; paths in it are relative to `root`.

    Raises UsageError when the text can't be read, VenueRefusal when the source says no.
    """
    kind, _, rest = spec.strip().partition(":")
    if kind not in SOURCES:
        near = difflib.get_close_matches(kind, SOURCES, 1)
        raise UsageError(
            f"There is no quote source {kind!r}{f'; did you mean {near[0]!r}?' if near else '.'}",
            todo=f"name one of: {', '.join(SOURCES)}, like dummy:seed=7 or replay:PATH",
        )
    opener, sign = SOURCES[kind]
    target, _, options = ("", "", rest) if sign == ":" else rest.partition(sign)
    return opener(target, _parse_options(spec, options), root, seed)


def _parse_options(spec: str, text: str) -> dict[str, str]:
    options: dict[str, str] = {}
    for part in text.replace("&", ",").split(","):
        if not part:
            continue
        key, equals, value = part.partition("=")
        if not (key and equals and value):
            raise UsageError(f"{part!r} in the quote source {spec!r} is not key=value.", todo="write it like seed=7")
        if key in options:
            raise UsageError(f"The quote source {spec!r} says {key!r} twice.", todo="say it once")
        options[key] = value
    return options
