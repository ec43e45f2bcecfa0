"""The report of a run: built from its journal's events alone, and written as Markdown or as one HTML file.

    events → fold (records by step) → tree (steps) → remarks, facts → Report → Markdown | HTML

Equal events (and the figures that they name by digest) give equal bytes. Nothing here looks at a clock, an environment
or a file other than its own templates, and nothing raises for what a journal holds: a report of a damaged run is the
one that is read most carefully.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from aurora.evidence.audit import stock_commands
from aurora.evidence.fold import History, fold, listed, mapping, seconds_between
from aurora.evidence.harmless import line, number, seconds_text
from aurora.evidence.model import (
    LOOKS,
    OUTCOMES,
    Banner,
    Fact,
    Look,
    Moment,
    Named,
    Outcome,
    Report,
    Require,
    Step,
    walk,
)
from aurora.evidence.remarks import remarks_of
from aurora.evidence.tree import MAX_ENTRIES, Tree, clock_text, named, text_of
from aurora.journal import Event

_MET = Look("tick", "good", "met")
_NOT_CHECKED = Look("query", "warn", "not checked")
_REQUIRES = {
    "met": _MET,
    "pass": _MET,
    "passed": _MET,
    "ok": _MET,
    "missing": Look("cross", "bad", "missing"),
    "not checked": _NOT_CHECKED,
    "not_checked": _NOT_CHECKED,
    "unknown": _NOT_CHECKED,
}


def build_report(
    events: Sequence[Event | Mapping[str, Any]], figures: Mapping[str, bytes] = MappingProxyType({})
) -> Report:
    """Return the report of a run from its journal's events: lines as dicts, or as `read_journal` returns them.

    figures: SVG files that the journal names, by their SHA-256; those that are missing are said to be.

    Any journal will do: one that ends in the middle, one of a resumed run, one that was tampered with.
    """
    history = fold(events)
    opened = history.opened
    steps = Tree(history, figures).steps()
    requires = tuple(_require(mapping(each)) for each in listed(opened.get("requires"))[:MAX_ENTRIES])
    dry_run = opened.get("dry_run") is True
    return Report(
        outcome=_outcome(history, steps),
        title=text_of(opened.get("title"), 200) or text_of(opened.get("runbook"), 80) or "(no title)",
        run=text_of(opened.get("run"), 120),
        runbook=text_of(opened.get("runbook"), 80),
        mode=text_of(opened.get("mode"), 40),
        venue=text_of(opened.get("venue"), 80),
        banners=tuple(_banners(opened, steps)),
        facts=tuple(each for each in _facts(history) if each.value),
        params=named(opened.get("params")),
        inputs=tuple(
            Named(text_of(each.get("name"), 200), text_of(each.get("sha256"), 80))
            for each in map(mapping, listed(opened.get("inputs"))[:MAX_ENTRIES])
        ),
        counts=_counts(steps),
        remarks=remarks_of(history, steps, requires, dry_run=dry_run),
        requires=requires,
        steps=steps,
        moments=tuple(_moments(history)),
        head=history.head,
        events=history.count,
        chained=history.chained,
        commands=stock_commands(text_of(opened.get("run"), 120)) if history.finished is not None else (),
    )


def render_markdown(report: Report) -> str:
    """Return the report as Markdown that reads well raw and on a git host."""
    from aurora.evidence.rendering import markdown  # noqa: PLC0415 - Jinja2 costs start-up time; only a report needs it

    return markdown(report)


def render_html(report: Report) -> str:
    """Return the report as one HTML file that asks for nothing else: no script, no font, and only images inside it."""
    from aurora.evidence.rendering import html  # noqa: PLC0415 - Jinja2 costs start-up time; only a report needs it

    return html(report)


def _outcome(history: History, steps: tuple[Step, ...]) -> Outcome:
    if history.finished is not None:
        outcome = history.finished.get("outcome")
        key = outcome if isinstance(outcome, str) and outcome in OUTCOMES else ""
        look, sentence = OUTCOMES.get(key) or (
            Look("query", "bad", line(outcome, 40)),
            "This outcome is not known here.",
        )
        code = number(history.finished.get("exit_code"))
        return Outcome(
            key or "unknown", look, sentence, "" if code is None else line(history.finished["exit_code"], 12), True
        )
    waits = any(step.look is LOOKS["waiting"] for step in walk(steps))
    if not history.opened:
        key, code_text = "none", ""
    elif history.interrupted is not None:
        is_wait = waits and str(history.interrupted.get("reason")).startswith("waiting")
        key, code_text = ("waiting", "4") if is_wait else ("interrupted", "7")
    else:
        key, code_text = ("waiting" if waits else "running"), ""
    look, sentence = OUTCOMES[key]
    if key == "waiting" and not code_text:
        sentence = "A question to a person is open; the journal ends here."
    return Outcome(key, look, sentence, code_text, False)


def _banners(opened: Mapping[str, Any], steps: tuple[Step, ...]) -> list[Banner]:
    mode, venue = text_of(opened.get("mode"), 40), text_of(opened.get("venue"), 80)
    banners = []
    if opened.get("simulated") is True:
        banners.append(Banner("sim", "Simulated venue", "No order of this run could reach a market."))
    elif opened and mode == "live":
        banners.append(
            Banner(
                "live", "Live", f"This run could send orders to: {venue or 'a venue that the journal does not name'}."
            )
        )
    if opened.get("dry_run") is True:
        banners.append(
            Banner("sim", "Dry run", "Steps with effects did not run; their outputs are samples. This proves nothing.")
        )
    prompts = [prompt for step in walk(steps) for prompt in step.prompts]
    scripted = sum(prompt.scripted for prompt in prompts)
    answers = mapping(opened.get("answers"))
    if answers or scripted:
        file = f"the file {line(answers.get('file'), 160)}" if answers.get("file") else "a script"
        of = f"{scripted} of {len(prompts)}" if scripted < len(prompts) else "all"
        counted = f"; {of} questions of this report were answered so" if prompts else ""
        text = f"Answers come from {file}, not from a person{counted}."
        banners.append(Banner("sim", "Scripted answers", text))
    return banners


def _facts(history: History) -> list[Fact]:
    opened = history.opened
    profile, operator = mapping(opened.get("profile")), mapping(opened.get("operator"))
    versions, code, answers = (mapping(opened.get(key)) for key in ("versions", "code", "answers"))
    known = f", with the key of {text_of(operator['principal'], 120)}" if operator.get("principal") else ""
    host, terminal = text_of(operator.get("host"), 120), _terminal(operator.get("terminal"))
    files = ", ".join(line(each, 120) for each in listed(profile.get("files"))[:20])
    end = clock_text(history.finished_at)
    unended = f"not yet; the last event is of {clock_text(history.last)}" if history.last else ""
    commit = text_of(code.get("commit"), 64)
    state = "with uncommitted changes" if code.get("dirty") is True else "no uncommitted changes"
    return [
        Fact("Runbook", text_of(opened.get("runbook"), 80)),
        Fact("Profile", text_of(profile.get("name"), 80), files, text_of(profile.get("digest"), 80)),
        Fact("Operator", text_of(operator.get("os_user"), 80), f"on {host or 'an unnamed host'}, {terminal}{known}"),
        Fact("Started", clock_text(history.opened_at)),
        Fact("Ended", end or unended),
        Fact("Elapsed", *_elapsed(history)),
        Fact("Code", state if commit else "no commit on record" if opened else "", "", commit),
        Fact("Versions", ", ".join(f"{line(name, 40)} {text_of(of, 80)}" for name, of in list(versions.items())[:10])),
        Fact("Answers file", text_of(answers.get("file"), 160), "", text_of(answers.get("sha256"), 80)),
        Fact("Locks", ", ".join(line(each, 80) for each in listed(opened.get("locks"))[:20])),
    ]


def _elapsed(history: History) -> tuple[str, str]:
    measured = mapping(history.finished).get("elapsed_s")
    if history.resumes == 0 and number(measured) is not None:
        return seconds_text(measured), ""
    text = seconds_text(seconds_between(history.opened_at or history.first, history.finished_at or history.last))
    return text, f"in {history.resumes + 1} sittings, with the time between them" if text and history.resumes else ""


def _terminal(value: object) -> str:
    if value is None or value is False:
        return "at no terminal"
    return "at a terminal" if value is True else f"at {line(value, 80)}"


def _counts(steps: tuple[Step, ...]) -> tuple[tuple[Look, int], ...]:
    """Count the steps that are not made of others, by look, in the order in which looks are defined."""
    counted = Counter(step.look for step in walk(steps) if not step.is_group)
    order = list(LOOKS.values())
    ranked = sorted(counted.items(), key=lambda each: order.index(each[0]) if each[0] in order else len(order))
    return tuple(ranked)


def _require(data: Mapping[str, Any]) -> Require:
    verdict = text_of(data.get("verdict"), 40)
    wants = [text_of(data.get("outcome"), 40)]
    if data.get("within") is not None:
        wants.append(f"within {_within(data.get('within'))}")
    same = [line(each, 40) for each in listed(data.get("same"))[:20]]
    if same:
        wants.append(f"same {', '.join(same)}")
    look = _REQUIRES.get(verdict) or Look("cross", "bad", verdict or "no verdict")
    return Require(
        text_of(data.get("runbook"), 80),
        ", ".join(each for each in wants if each),
        look,
        text_of(data.get("reason"), 300),
    )


def _within(value: object) -> str:
    return (
        line(value, 40) if isinstance(value, str) and number(value) is None else seconds_text(value) or line(value, 40)
    )


def _moments(history: History) -> list[Moment]:
    moments = []
    for ts, kind, data in history.events[:MAX_ENTRIES]:
        by = text_of(mapping(data.get("operator")).get("os_user"), 80)
        what, detail = {
            "run.opened": ("Opened", f"process {text_of(data.get('pid'), 20)}{f', by {by}' if by else ''}"),
            "ledger.entered": (
                "Entered in the ledger",
                f"line {text_of(data.get('seq'), 20)}, {text_of(data.get('sha256'), 80)}",
            ),
            "run.stopping": ("Told to stop", text_of(data.get("reason"), 240)),
            "run.interrupted": ("Interrupted", text_of(data.get("reason"), 240)),
            "run.resumed": (
                "Resumed",
                f"process {text_of(data.get('pid'), 20)}{f', by {by}' if by else ''}{_changes(data)}",
            ),
            "journal.recovered": (
                "Journal recovered",
                f"{text_of(data.get('bytes'), 40)} bytes of a torn line, saved as {text_of(data.get('saved_as'), 120)}",
            ),
            "run.finished": ("Finished", text_of(data.get("outcome"), 40)),
        }[kind]
        moments.append(Moment(clock_text(ts), what, detail))
    return moments


def _changes(data: Mapping[str, Any]) -> str:
    changes = [line(each, 160) for each in listed(data.get("changes"))[:20]]
    if not changes:
        return "; nothing had changed"
    return f"; changed: {'; '.join(changes)} ({'accepted' if data.get('accepted') is True else 'not accepted'})"
