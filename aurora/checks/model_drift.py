"""Model drift: the features that recent sessions recorded, held against the reference of the profile's model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path

from aurora.analytics.drift import DriftLimits, FeatureDrift, FeatureSample, Verdict, judge_features
from aurora.analytics.feature_values import FeatureValues
from aurora.analytics.recordings import Recording, unpacked_recordings
from aurora.checks.drift_reference import FIT, Reference, read_reference
from aurora.clock import iso
from aurora.errors import OperatorError
from aurora.market.mode import Mode
from aurora.profile import Profile
from aurora.risk.lockout import SIMULATED
from aurora.session.strategy import BARS


@dataclass(frozen=True)
class ModelDrift:
    """What became of the features.

    known: there is a reference, and enough was recorded to tell of each of its features. failed, warned, unknown: a
    line each. sessions: that were pooled, newest first. left_out: that were not, and why. own: how many of the pooled
    the reference itself was fitted from; of these nothing new is learned.
    """

    model: str
    known: bool
    failed: list[str] = field(default_factory=list)
    warned: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    sessions: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    own: int = 0
    features: list[FeatureDrift] = field(default_factory=list)


def look_for_drift(root: Path, profile: Profile, symbols: Sequence[str], now: datetime) -> ModelDrift:
    """Pool trailing sessions until each feature has enough values, and judge each (trading rule 19).

    Enough are `min_values`; as many that have no bar in common where so many were recorded, so that a feature of ten
    bars is pooled from ten times as many: 500 of its values say no more than 50 (two sessions of an unchanged random
    walk were over 0.10 in a fifth of the cases). A feature that has enough takes in no older session.
    symbols: those that are to be traded. Raises ProfileError and RunbookError for a reference that can't be used.
    """
    model, limits = str(profile.models.name), _limits(profile)
    reference = read_reference(root, model)
    if trouble := _trouble(reference, profile, symbols):
        return ModelDrift(model, known=False, unknown=[f"{trouble}; {FIT}"])
    assert reference is not None
    enough = {name: limits.min_values * BARS.get(name, 1) for name in reference.features}
    samples: dict[str, FeatureSample] = {}
    with ExitStack() as stack, FeatureValues() as values:
        pool = _Pool(values, reference.realtime, set(reference.symbols), Decimal(reference.poll_sec))
        for recording in _newest_first(stack, root, now, int(profile.models.drift.window_days), pool.left_out):
            pool.offer(recording)
            for name in enough.keys() - samples.keys():
                if values.count(name) >= enough[name]:
                    samples[name] = values.sample(name, reference.features[name])
            if len(samples) == len(enough):
                break
        for name in enough.keys() - samples.keys():
            samples[name] = values.sample(name, reference.features[name])
        strangers = sorted(set(values.names()) - set(enough))
    found = judge_features(reference.features, samples, limits)
    lines = {
        verdict: [f"{each.feature}: {each.why}" for each in found if each.verdict is verdict] for verdict in Verdict
    }
    unknown = [*lines[Verdict.UNKNOWN], *(f"{name}: the reference does not have it; {FIT}" for name in strangers)]
    return ModelDrift(
        model,
        known=not unknown,
        failed=_lines(found, Verdict.FAIL),
        warned=_lines(found, Verdict.WARN),
        unknown=unknown,
        sessions=pool.sessions,
        left_out=pool.left_out,
        own=len(set(pool.sessions) & set(reference.sessions)),
        features=found,
    )


def fit(root: Path, profile: Profile, now: datetime, days: int) -> Reference:
    """Return the features of the sessions of the last days as a reference; the newest of them says of which kind.

    Sessions of other symbols or another bar are left out. Raises OperatorError when there are too few values.
    """
    with ExitStack() as stack:
        return _fit(root, profile, now, days, stack)


def _fit(root: Path, profile: Profile, now: datetime, days: int, stack: ExitStack) -> Reference:
    left_out: list[str] = []
    recordings = _newest_first(stack, root, now, days, left_out)
    newest = next((each for each in recordings if profile.venue == SIMULATED or each.header["realtime"]), None)
    bar = None if newest is None else poll_sec(newest)
    if newest is None or bar is None:
        kind = "" if profile.venue == SIMULATED else " on real-time quotes"
        raise _too_little(f"no session{kind} was recorded in the last {days} days", left_out)
    with FeatureValues() as values:
        pool = _Pool(values, bool(newest.header["realtime"]), set(newest.header["symbols"]), bar)
        pool.left_out = left_out
        for recording in recordings:
            pool.offer(recording)
        least = _limits(profile).min_values
        few = [f"{name} has {values.count(name)}" for name in values.names() if values.count(name) < least]
        if few or not values.names():
            counts = ", ".join(few) or "none was recorded"
            raise _too_little(f"a feature takes {least} values: {counts}", pool.left_out)
        features = {name: values.reference(name) for name in values.names()}
    symbols = sorted(newest.header["symbols"])
    return Reference(iso(now), pool.realtime, symbols, str(bar), pool.sessions, features)


def poll_sec(recording: Recording) -> Decimal | None:
    """Return the seconds between two bars of a session; None when its record does not say."""
    settings = recording.header.get("settings")
    try:
        found = Decimal(str(settings["poll_sec"])) if isinstance(settings, Mapping) else None
    except (KeyError, InvalidOperation):
        return None
    return found if found is not None and found.is_finite() and found > 0 else None


class _Pool:
    """The sessions whose features are comparable: of these quotes, symbols and bars."""

    def __init__(self, values: FeatureValues, realtime: bool, symbols: set[str], bar: Decimal) -> None:
        self.sessions: list[str] = []
        self.left_out: list[str] = []
        self.realtime = realtime
        self._values, self._symbols, self._bar = values, symbols, bar

    def offer(self, recording: Recording) -> None:
        """Take a session in, or say why not."""
        import duckdb  # noqa: PLC0415 - 40 ms and 60 MB that only rollups and drift need

        why = self._unlike(recording)
        if not why:
            try:
                added = self._values.add(recording.path)
            except (duckdb.Error, OSError) as error:
                why = f"it can't be read: {str(error).splitlines()[0][:200]}"
            else:
                why = "it says nothing of features" if not added.asked else ""
                if added.unreadable:
                    self.left_out.append(f"{recording.name}: {added.unreadable} lines can't be read")
        if why:
            self.left_out.append(f"{recording.name}: {why}")
        else:
            self.sessions.append(recording.name)

    def _unlike(self, recording: Recording) -> str:
        if bool(recording.header["realtime"]) is not self.realtime:
            return "its quotes were generated or recorded" if self.realtime else "its quotes were a venue's"
        if set(recording.header["symbols"]) != self._symbols:
            return f"it is of {', '.join(recording.header['symbols'])}"
        bar = poll_sec(recording)
        return "" if bar == self._bar else f"its bars are of {'unknown length' if bar is None else f'{bar} s'}"


def _trouble(reference: Reference | None, profile: Profile, symbols: Sequence[str]) -> str:
    if reference is None:
        return f"the model {profile.models.name} has no reference"
    if profile.venue != SIMULATED and not reference.realtime:
        return "the reference is of generated or recorded quotes"
    strange = sorted(set(symbols) - set(reference.symbols))
    return f"the reference knows nothing of {', '.join(strange)}" if strange else ""


def _lines(found: Sequence[FeatureDrift], verdict: Verdict) -> list[str]:
    return [f"{each.feature}: {each.why}" for each in found if each.verdict is verdict]


def _newest_first(stack: ExitStack, root: Path, now: datetime, days: int, problems: list[str]) -> list[Recording]:
    """Return the sessions of all modes, archived ones unpacked until `stack` is closed; what can't be read is told."""
    found: list[Recording] = []
    for mode in Mode:
        known = unpacked_recordings(root, str(mode), now - timedelta(days=days), now)
        recordings, wrong = stack.enter_context(known)
        found += recordings
        problems += [line for each in wrong if (line := f"{each.file}: {each.what}") not in problems]
    return sorted(found, key=lambda each: (each.began, each.name), reverse=True)


def _limits(profile: Profile) -> DriftLimits:
    drift = profile.models.drift
    return DriftLimits(
        Decimal(drift.warn_psi), Decimal(drift.fail_psi), int(drift.min_values), Decimal(drift.max_missing_pct)
    )


def _too_little(what: str, left_out: Sequence[str]) -> OperatorError:
    shown = [*left_out[:5], *([f"and {len(left_out) - 5} more"] if len(left_out) > 5 else [])]
    return OperatorError(
        f"There is too little to fit a reference from: {what}.",
        means="nothing was written" + "".join(f"; left out: {line}" for line in shown),
        todo="run more sessions: invoke runbook daily-shadow; or look further back: --days N",
    )
