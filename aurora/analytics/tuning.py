"""Tuning: what recorded sessions say that costs and limits of the quotes should be; figures → proposals, nothing more.

Costs: the median of realised slippage, the p95 of fees, of live fills where there are twenty, else of modelled ones
(rule 17). Limits of a symbol's quotes: the p99 of its spread and of its age, half as much again, never looser than
policy allows.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_CEILING, Decimal
from pathlib import Path

from aurora.analytics.period import Pool, pool_sessions
from aurora.analytics.quantiles import nearest_rank
from aurora.analytics.recordings import Recording
from aurora.analytics.rollup import ENOUGH_FILLS
from aurora.analytics.scan import Scan
from aurora.profile import Profile
from aurora.risk.lockout import SIMULATED
from aurora.risk.loosening import limits_of

LEAST_SESSIONS = 3
LEAST_LOOKS = 500
ROOM = Decimal("1.5")
"""How far above the p99 a limit is set: a week may have been a calm one."""
_SHARE = 0.99
_OWN: Mapping[str, tuple[str, Decimal, Decimal]] = {
    "max_spread_bps": ("spread_by", Decimal(1), Decimal(500)),
    "max_quote_age_s": ("age_by", Decimal("0.1"), Decimal(5)),
}
"""Limits of a symbol: where a scan has them, to which step they are rounded up, and the most that a profile may say."""


@dataclass(frozen=True)
class Proposal:
    """One value, as it is and as it might be, with what speaks for it.

    key: dotted name in the profile. evidence: samples and what they are of. effect: what either would have done in the
    sessions. loosens: the week that earns promotion begins anew with it. cut: policy allows no more.
    """

    key: str
    today: Decimal
    proposed: Decimal
    evidence: str
    effect: str
    loosens: bool
    cut: bool


@dataclass(frozen=True)
class Tuning:
    """What is proposed. sessions: that it rests on; left_out: others, and why. stays: what has no proposal."""

    sessions: list[str]
    left_out: list[str]
    proposals: list[Proposal]
    stays: list[str]


def propose(root: Path, profile: Profile, now: datetime, days: int, max_loosening_pct: Decimal) -> Tuning:
    """Return proposals from the clean sessions of the last `days` days; none from fewer than three."""
    fit = _fit(str(profile.venue))
    pools = {mode: pool_sessions(root, mode, now, days, fit) for mode in ("live", "paper", "shadow")}
    sessions = [recording.name for pool in pools.values() for recording in pool.read]
    left_out = [line for pool in pools.values() for each in pool.problems if (line := f"{each.file}: {each.what}")]
    if len(sessions) < LEAST_SESSIONS:
        many = f"{len(sessions)} clean session{'' if len(sessions) == 1 else 's'}"
        why = f"everything: {many} in {days} days, it takes {LEAST_SESSIONS}"
        return Tuning(sessions, left_out, [], [why])
    limits = {key: value for key, value in limits_of(profile).items() if key.startswith("risk.")}
    found = [
        *_costs(pools, limits, "live" if profile.venue != SIMULATED else "modelled"),
        *_quotes(pools, limits, max_loosening_pct),
    ]
    proposals = [each for each in found if isinstance(each, Proposal)]
    return Tuning(sessions, left_out, proposals, [each for each in found if isinstance(each, str)])


def _fit(venue: str) -> Callable[[Recording, Scan], str]:
    def why_not(recording: Recording, scanned: Scan) -> str:
        result, header = scanned.result, recording.header
        if venue != SIMULATED and header["realtime"] is not True:
            return "it was not on real-time quotes"
        if header["mode"] == "live" and header["venue"] != venue:
            return f"it was live on the venue {header['venue']}, the profile's is {venue}"
        if result is None or scanned.unreadable or scanned.unfit or scanned.half_line:
            return "it is not whole"
        return "it had anomalies" if result.get("anomalies") != [] or scanned.anomalies else ""

    return why_not


def _costs(pools: Mapping[str, Pool], limits: Mapping[str, str], live: str) -> Iterator[Proposal | str]:
    for key, name, share, values in (
        ("risk.slippage_bps", "median", 0.5, {mode: [bps for _, bps in pools[mode].slippage] for mode in pools}),
        ("risk.fee_bps", "p95", 0.95, {mode: pools[mode].fee_bps for mode in pools}),
    ):
        kind, fills = next(
            (
                (kind, values[mode])
                for mode, kind in (("live", live), ("paper", "modelled"))
                if len(values[mode]) >= ENOUGH_FILLS
            ),
            ("", []),
        )
        measured = nearest_rank(fills, share)
        if measured is None:
            yield f"{key}: fewer than {ENOUGH_FILLS} fills, live or modelled"
            continue
        today, proposed = Decimal(limits[key]), max(Decimal(0), round(measured, 2))
        if proposed == today:
            yield f"{key}: {today} is what was measured"
            continue
        over = {value: sum(fill > value for fill in fills) for value in (today, proposed)}
        effect = f"of {len(fills)} fills {over[today]} cost more than {today}, {over[proposed]} more than {proposed}"
        yield Proposal(key, today, proposed, f"{name} of {len(fills)} {kind} fills", effect, loosens=False, cut=False)


def _quotes(pools: Mapping[str, Pool], limits: Mapping[str, str], bound_pct: Decimal) -> Iterator[Proposal | str]:
    scans = [scanned for pool in pools.values() for scanned in pool.scans]
    for name, (where, step, most) in _OWN.items():
        seen: dict[str, Counter[int]] = {}
        for scanned in scans:
            for symbol, counts in getattr(scanned, where).items():
                seen.setdefault(symbol, Counter()).update(counts)
        for symbol, counts in sorted(seen.items()):
            key = f"risk.symbols.{symbol}.{name}"
            if counts.total() < LEAST_LOOKS:
                yield f"{key}: {counts.total()} looks, it takes {LEAST_LOOKS}"
                continue
            today = Decimal(limits.get(key, limits[f"risk.{name}"]))
            wanted = _up(_rank(counts) * ROOM, step)
            allowed = min(today * (1 + bound_pct / 100), most)
            proposed = min(wanted, _down(allowed, step)) if wanted > today else wanted
            if proposed == today or (wanted > today and proposed < today):
                yield f"{key}: {today} stays" + (", policy allows no more" if wanted > today else "")
                continue
            held = {
                value: sum(count for at, count in counts.items() if Decimal(at) / 1000 > value)
                for value in (today, proposed)
            }
            total = counts.total()
            effect = f"of {total} looks {held[today]} were over {today}, {held[proposed]} would be over {proposed}"
            evidence = f"p99 of {total} looks, half as much again"
            yield Proposal(key, today, proposed, evidence, effect, loosens=proposed > today, cut=proposed < wanted)


def _rank(counts: Counter[int]) -> Decimal:
    """Return the p99 by nearest rank of counts by thousandths."""
    wanted, passed = math.ceil(_SHARE * counts.total()), 0
    for thousandths in sorted(counts):
        passed += counts[thousandths]
        if passed >= wanted:
            return Decimal(thousandths) / 1000
    raise ValueError("nothing was counted")


def _up(value: Decimal, step: Decimal) -> Decimal:
    return max(step, (value / step).to_integral_value(ROUND_CEILING) * step)


def _down(value: Decimal, step: Decimal) -> Decimal:
    return value // step * step


def shown(proposals: Sequence[Proposal]) -> list[str]:
    """Return a line for each proposal, for a person who is to say yes."""
    return [
        f"{each.key}: {each.today} -> {each.proposed} ({each.evidence}; {each.effect})"
        + ("; LOOSER: the promotion week begins anew" if each.loosens else "")
        + ("; cut at policy's bound" if each.cut else "")
        for each in proposals
    ]
