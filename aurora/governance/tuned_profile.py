"""Writes tuned values into a profile: first a draft that a person looks at, then, unchanged, into use."""

from __future__ import annotations

import difflib
import hashlib
import io
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from aurora.analytics.tuning import Proposal, propose, shown
from aurora.engine.document import parse_document, read_document
from aurora.engine.faults import RunbookError
from aurora.engine.policy import FILE as POLICY
from aurora.engine.policy import POLICY_SCHEMA
from aurora.engine.profiles import load_profile
from aurora.engine.project import Project
from aurora.engine.schema import SchemaPass
from aurora.errors import OperatorError
from aurora.housekeeping.rollback import replace_file
from aurora.profile import Profile

DRAFT = "profile.yaml"


@dataclass(frozen=True)
class TuningDraft:
    """A profile as it would be. changes: how many values. lines: one a value. diff: of the file, "" where none changes.

    loosens: values that begin the promotion week anew. before, after: SHA-256 of the file as it is and of the draft.
    """

    changes: int
    loosens: int
    lines: list[str]
    stays: list[str]
    sessions: list[str]
    left_out: list[str]
    diff: str
    profile: str
    draft: str
    before: str
    after: str


@dataclass(frozen=True)
class Tuned:
    """Which file was written, and its SHA-256 before and after."""

    profile: str
    before: str
    after: str


def draft_tuning(root: Path, profile: Profile, now: datetime, days: int, folder: Path) -> TuningDraft:
    """Propose values for the profile, and write it with them as a draft into `folder`; nothing is in use yet.

    Raises OperatorError when the profile would not be one any more, RunbookError for a wrong policy.
    """
    place = f"profiles/{profile.name}.yaml"
    tuning = propose(root, profile, now, days, _bound_pct(root))
    raw = (root / place).read_bytes()
    text = _with(raw, tuning.proposals, place)
    _see_that_it_loads(root, profile.name, text)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / DRAFT).write_text(text, "utf-8")
    lines = difflib.unified_diff(
        raw.decode().splitlines(), text.splitlines(), place, f"{place}, tuned", lineterm="", n=1
    )
    return TuningDraft(
        changes=len(tuning.proposals),
        loosens=sum(each.loosens for each in tuning.proposals),
        lines=shown(tuning.proposals),
        stays=tuning.stays,
        sessions=tuning.sessions,
        left_out=tuning.left_out,
        diff="\n".join(lines),
        profile=place,
        draft=str((folder / DRAFT).relative_to(root)),
        before=hashlib.sha256(raw).hexdigest(),
        after=hashlib.sha256(text.encode()).hexdigest(),
    )


def write_tuning(root: Path, profile: Profile, draft: str, before: str, after: str) -> Tuned:
    """Put the draft into use, if it and the profile's file are byte for byte what was shown. Raises OperatorError."""
    place = f"profiles/{profile.name}.yaml"
    found, text = (root / place).read_bytes(), (root / draft).read_bytes()
    if hashlib.sha256(found).hexdigest() == after:
        return Tuned(place, before, after)
    for what, raw, wanted in ((place, found, before), (draft, text, after)):
        if hashlib.sha256(raw).hexdigest() != wanted:
            raise OperatorError(
                f"{what} is not what was shown any more.",
                means="nothing was written",
                todo=f"look again: invoke runbook tune --profile {profile.name}",
            )
    replace_file(root / place, text.decode())
    return Tuned(place, before, after)


def _bound_pct(root: Path) -> Decimal:
    """Return how far policy lets a limit be loosened, in percent of today's; 0 where it says nothing."""
    path = root / "profiles" / POLICY
    if not path.is_file():
        return Decimal(0)
    document = read_document(path, f"profiles/{POLICY}")
    faults = list(document.faults) or SchemaPass(Project(root).runs / ".cache" / "schema").faults(
        document, POLICY_SCHEMA
    )
    if faults:
        raise RunbookError(list(faults))
    return Decimal(str(document.data.get("tuning", {}).get("max_loosening_pct", 0)))


def _with(raw: bytes, proposals: Sequence[Proposal], place: str) -> str:
    """Return a profile's text with the proposed values, comments kept; nothing else in it says another thing.

    Raises OperatorError for a file that can't be written so.
    """
    from ruamel.yaml import YAML  # noqa: PLC0415 - heavy, and only a tuning writes YAML
    from ruamel.yaml.error import YAMLError  # noqa: PLC0415 - the same

    if not proposals:
        return raw.decode()
    yaml, written = YAML(), io.StringIO()
    yaml.preserve_quotes = True
    yaml.width = 200
    wanted = parse_document(raw, place).data
    try:
        data = yaml.load(raw.decode())
        for each in proposals:
            is_whole = each.proposed == each.proposed.to_integral_value()
            _put(data, each.key, int(each.proposed) if is_whole else float(each.proposed))
            _put(wanted, each.key, each.proposed)
        yaml.dump(data, written)
    except (YAMLError, AttributeError, TypeError) as error:
        raise _unwritable(place) from error
    if parse_document(written.getvalue().encode(), place).data != wanted:
        raise _unwritable(place)
    return written.getvalue()


def _unwritable(place: str) -> OperatorError:
    return OperatorError(
        f"{place} can't be written by a program without changing more than the proposed values.",
        means="nothing was written",
        todo="write it in plain YAML, two spaces a level, no anchors; then tune again",
    )


def _put(data: Any, key: str, value: Any) -> None:
    *sections, name = key.split(".")
    for section in sections:
        data = _map(data, section)
    data[name] = value


def _map(values: Any, key: str) -> Any:
    if not isinstance(values.get(key), Mapping):
        values[key] = {}
    return values[key]


def _see_that_it_loads(root: Path, name: str, text: str) -> None:
    with tempfile.TemporaryDirectory(prefix="aurora-") as place:
        shutil.copytree(root / "profiles", Path(place) / "profiles")
        (Path(place) / "profiles" / f"{name}.yaml").write_text(text, "utf-8")
        load_profile(Path(place), name)
