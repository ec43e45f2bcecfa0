import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from aurora.clock import ManualClock
from aurora.evidence.model import LOOKS, OUTCOMES, Report, Step, walk
from aurora.evidence.report import build_report, render_html, render_markdown
from aurora.journal import Journal, read_journal
from tests.evidence import journals
from tests.evidence.journals import Book, gate

SAMPLES = {"green": journals.green, "red": journals.red, "interrupted": journals.interrupted}
VOID = {"meta", "br", "hr", "img", "link", "input", "circle", "path", "rect"}


class Balance(HTMLParser):
    """Fails on a tag that is not closed where it was opened, and gathers tags and attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text: list[str] = []
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag, f"</{tag}> at {self.getpos()}"

    def handle_data(self, data):
        self.text.append(data)


def rendered(events: list[dict[str, Any]]) -> tuple[Report, str, str]:
    """Return the report of `events`, as values, Markdown and HTML."""
    report = build_report(events)
    return report, render_markdown(report), render_html(report)


def step_of(report: Report, step_id: str) -> Step:
    """Return one step of a report."""
    return next(step for step in walk(report.steps) if step.id == step_id)


def one_step(**finished: Any) -> list[dict[str, Any]]:
    """Return the journal of a run with one step that finished so."""
    book = Book()
    book.entry("only", "The only step", gates=["fine"])
    book.open()
    book.start("only")
    book.finish("only", **finished)
    return book.events


# a pure function of the journal


@pytest.mark.parametrize("name", SAMPLES)
def test_equal_journals_give_equal_bytes(name, monkeypatch, tmp_path):
    """Two reports of equal events are equal, byte by byte, whatever the environment."""
    first = rendered(SAMPLES[name]())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    monkeypatch.setenv("USER", "someone-else")
    assert rendered(json.loads(json.dumps(SAMPLES[name]()))) == first


def test_report_leaves_its_events_alone():
    """Reading events does not change them."""
    events = journals.red()
    before = json.dumps(events)
    rendered(events)
    assert json.dumps(events) == before


def test_events_as_read_from_a_file_are_the_same_journal(tmp_path):
    """Lines as dicts and events as read_journal returns them give one report, with the file's own head."""
    journal = Journal.create(tmp_path / "journal.jsonl", ManualClock(journals.START))
    for event in journals.red():
        journal.append(event["type"], event["data"])
    journal.close()
    lines = [json.loads(line) for line in (tmp_path / "journal.jsonl").read_bytes().splitlines()]
    text = read_journal(tmp_path / "journal.jsonl")
    assert build_report(lines) == build_report(text.events)
    assert build_report(lines).head == text.head


# the head


def test_head_says_outcome_mode_and_venue():
    """The head shows the outcome in words, the exit code, the mode and the venue."""
    report, markdown, html = rendered(journals.green())
    assert report.outcome.key == "green"
    assert "**✓ GREEN** · exit code 0" in markdown
    assert "**Mode PAPER · venue SIMULATED**" in markdown
    assert "Mode <strong>paper</strong>" in html
    assert "Venue <strong>simulated</strong>" in html
    assert '<p class="word">Green</p>' in html


@pytest.mark.parametrize(
    "fact", ["9b1c" * 16, "4f0e2d91c7b3", "mira", "desk-3", "aurora 0.1.0", "python 3.11.9", "35."]
)
def test_head_says_who_with_what_and_how_long(fact):
    """Profile digest, commit, operator, host, versions and elapsed time stand in both forms."""
    _, markdown, html = rendered(journals.green())
    assert fact in markdown
    assert fact in html


def test_uncommitted_changes_are_said():
    """Code that is in no commit is in the head and among the remarks."""
    report, markdown, html = rendered(journals.red())
    assert "with uncommitted changes" in markdown
    assert "with uncommitted changes" in html
    assert any(remark.title == "Code" for remark in report.remarks)


def test_journal_head_and_count_are_shown():
    """The SHA-256 of the last line and the number of events tie the report to its journal."""
    book = journals.green()
    report, markdown, html = rendered(book)
    assert report.events == len(book)
    assert re.fullmatch("[0-9a-f]{64}", report.head)
    assert report.head in markdown
    assert report.head in html


@pytest.mark.parametrize(
    ("opened", "title"),
    [
        ({"simulated": True}, "Simulated venue"),
        ({"dry_run": True}, "Dry run"),
        ({"answers": {"file": "a.yaml", "sha256": "0"}}, "Scripted answers"),
    ],
)
def test_what_was_not_real_has_a_banner(opened, title):
    """A simulated venue, a dry run and scripted answers are each announced at the top."""
    book = Book()
    book.open(**({"simulated": False, "dry_run": False, "answers": None} | opened))
    report, markdown, html = rendered(book.events)
    assert [banner.title for banner in report.banners] == [title]
    assert title.upper() in markdown
    assert f"<strong>{title}</strong>" in html


def test_live_venue_has_a_banner():
    """A run that could send real orders says so, loudest of all."""
    report, _, html = rendered(journals.red())
    assert report.banners[0].tone == "live"
    assert 'class="stage live"' in html


def test_requires_shows_what_was_not_checked():
    """Evidence that nobody looked for is neither a tick nor silence."""
    report, markdown, html = rendered(journals.green())
    assert [require.look.word for require in report.requires] == ["not checked", "not checked"]
    assert "? not checked" in markdown
    assert "not checked" in html
    assert any(remark.title == "Requires" for remark in report.remarks)


# the checklist


STATUSES = {
    "passed": ("tick", "passed"),
    "red": ("cross", "red"),
    "broken": ("cross", "broken"),
    "timed_out": ("cross", "timed out"),
    "skipped": ("dash", "skipped"),
    "omitted": ("dash", "omitted"),
    "waived": ("alert", "waived"),
    "declined": ("cross", "declined"),
    "unknown": ("query", "outcome unknown"),
    "cancelled": ("dash", "cancelled"),
    "waiting": ("dots", "waiting for a person"),
    "novel": ("query", "novel"),
}


@pytest.mark.parametrize("status", STATUSES)
def test_each_status_has_a_sign_and_a_word(status):
    """Every status is shown by a sign and said in words: colour alone says nothing."""
    report, markdown, html = rendered(one_step(status=status))
    mark, word = STATUSES[status]
    look = step_of(report, "only").look
    assert (look.mark, look.word) == (mark, word)
    assert f"- {look.sign} **The only step** `only` — {word}" in markdown
    assert re.search(rf'<span class="status \w+">{word}</span>', html)


@pytest.mark.parametrize("status", sorted(STATUSES.keys() - {"passed", "skipped", "omitted"}))
def test_each_bad_end_deserves_attention(status):
    """Whatever did not simply pass is said at the top, with a link to its step; a status not known here too."""
    report, _, html = rendered(one_step(status=status))
    assert [remark.anchor for remark in report.remarks if remark.title == "The only step"] == ["s1"]
    assert '<a href="#s1"><bdi>The only step</bdi></a>' in html


@pytest.mark.parametrize("outcome", [*OUTCOMES, "novel"])
def test_each_outcome_is_said_in_words(outcome):
    """Every outcome has its word in both forms, one that is not known here too."""
    book = Book()
    book.open()
    book.close(outcome, 3)
    report, markdown, html = rendered(book.events)
    word = OUTCOMES[outcome][0].word if outcome in OUTCOMES else "novel"
    assert report.outcome.look.word == word
    assert report.outcome.exit_code == "3"
    assert word.upper() in markdown
    assert f'<p class="word">{word}</p>' in html


def test_red_gate_shows_the_value_of_each_name():
    """A red gate stands with its text and the value of each name in it."""
    _, markdown, html = rendered(journals.red())
    assert "✗ gate `fallbacks == 0`: red with `fallbacks` = `1`" in markdown
    assert '<code>fallbacks</code> = <code class="value">1</code>' in html


def test_advisory_red_is_amber_and_not_red():
    """A step whose only red gate is advisory has passed, with remarks."""
    events = one_step(gates=[gate("fast", "red", "advisory", fast="false")])
    report, markdown, _ = rendered(events)
    assert step_of(report, "only").look is LOOKS["amber"]
    assert "! gate `fast` (advisory)" in markdown
    assert any("fast does not hold" in remark.text for remark in report.remarks)


def test_gate_that_could_not_be_decided_says_why():
    """NaN, a missing name or an error in a gate is shown with its reason, not as a pass."""
    broken = gate("x < 1", "unknown", x="NaN") | {"error": "x is not a number"}
    report, markdown, html = rendered(one_step(gates=[broken]))
    assert step_of(report, "only").look is LOOKS["amber"]
    assert "x is not a number" in markdown
    assert "x is not a number" in html


def test_messages_of_gates_that_hold_are_not_shown():
    """The message of a gate is about its failure."""
    holds = gate("fast") | {"message": "the loop is slow"}
    _, markdown, html = rendered(one_step(gates=[holds]))
    assert "the loop is slow" not in markdown
    assert "the loop is slow" not in html


def test_scripted_answers_are_marked_one_by_one():
    """Beside each scripted answer stands that it was scripted; beside a person's, who and when."""
    _, markdown, html = rendered(journals.green())
    assert markdown.count("yes (scripted)") == 7
    assert html.count('<span class="chip sim">scripted</span>') == 9
    _, markdown, html = rendered(journals.red())
    assert "accepted by **mira** at 14:12:23, source: terminal" in markdown
    assert "scripted" not in markdown.lower()
    assert "chip sim" not in html.partition("</style>")[2]


@pytest.mark.parametrize("reason", ["timed out", "no terminal", "end of input", "CI", "stopped"])
def test_no_answer_is_shown_as_a_no(reason):
    """A question that nobody answered reads as a no with its reason."""
    book = Book()
    book.entry("t0", "T-0", "confirm", prompt="Ready?", checklist=["flat"])
    book.open()
    book.add("prompt.opened", step="t0", prompt="Ready?", checklist=["flat"], timeout_s=600, digest="")
    book.add("prompt.answered", step="t0", accepted=False, answers=[], by="nobody", source="none", reason=reason)
    book.finish("t0", "declined", reason=f"no answer: {reason}")
    report, markdown, html = rendered(book.events)
    assert f"no answer ({reason})" in markdown
    assert f"No answer at 14:12:04 ({reason}): that is a no." in html
    assert f"no answer ({reason})" in report.remarks[0].text


def test_refusal_names_the_line():
    """When a person says no, the report says who, and to which line."""
    book = Book()
    book.entry("t0", "T-0", "confirm", prompt="Ready?", checklist=["flat", "plan open"])
    book.open()
    book.add("prompt.opened", step="t0", prompt="Ready?", checklist=["flat", "plan open"], timeout_s=None, digest="")
    book.add(
        "prompt.answered",
        step="t0",
        accepted=False,
        by="mira",
        source="terminal",
        reason="answered",
        answers=[{"line": "flat", "answer": "no"}],
    )
    book.finish("t0", "declined", reason="no from mira")
    report, markdown, _ = rendered(book.events)
    assert report.remarks[0].text == "mira said no to: flat."
    assert "✗ flat: no" in markdown
    assert "– plan open: no answer" in markdown


def test_sub_runbooks_are_nested():
    """Inner steps stand inside the step that runs their runbook, failure paths inside the step that they guard."""
    report = build_report(journals.red())
    assert [child.id for child in step_of(report, "warmup").children] == ["warmup/shadow", "warmup/reconcile"]
    assert [child.id for child in step_of(report, "live").children] == ["live/on_failure"]
    assert [step.id for step in report.ending] == ["eod", "notify"]


def test_failure_path_that_was_not_needed_says_so():
    """Steps that stood by for a failure that did not come are not 'not reached'."""
    report = build_report(journals.green())
    assert step_of(report, "live/on_failure").look is LOOKS["standby"]
    assert step_of(report, "live/on_failure/stop").look is LOOKS["standby"]
    assert not any("not reached" in remark.text for remark in report.remarks)


def test_items_of_a_foreach_are_steps():
    """Each item stands below its foreach with its value, also one that never started."""
    book = Book()
    book.entry("quotes", "Quotes", foreach=True)
    book.open()
    book.add("step.expanded", step="quotes", items=["SPY", {"symbol": "TSLA"}])
    book.run("quotes[0]")
    report, markdown, _ = rendered(book.events)
    assert [(child.id, child.look.word) for child in step_of(report, "quotes").children] == [
        ("quotes[0]", "passed"),
        ("quotes[1]", "not reached"),
    ]
    assert "Quotes: SPY" in markdown
    assert 'Quotes: {"symbol": "TSLA"}' in markdown


def test_sub_steps_of_a_foreach_are_shown_once_for_each_item():
    """Inside a foreach over a runbook, the plan's own entries give way to those of the items."""
    book = Book()
    book.entry("day", "Day", "runbook", foreach=True)
    book.entry("day/check", "Check")
    book.open()
    book.add("step.expanded", step="day", items=[1, 2])
    book.run("day[0]/check")
    book.run("day[1]/check")
    ids = [step.id for step in walk(build_report(book.events).steps)]
    assert ids == ["day", "day[0]", "day[0]/check", "day[1]", "day[1]/check"]


def test_retries_are_counted_and_explained():
    """A step that passed at a later attempt says so, with what went wrong before."""
    report, markdown, html = rendered(journals.green())
    step = step_of(report, "kill_switch")
    assert [attempt.look.word for attempt in step.attempts] == ["broken", "passed"]
    assert any("It took 2 attempts" in remark.text for remark in report.remarks)
    assert "ConnectionError: the alert endpoint did not answer (next attempt after 2.00 s)" in markdown
    assert "next attempt after 2.00 s" in html


def test_verified_outcomes_are_told():
    """An outcome that was unknown and looked into says who found what."""
    book = Book()
    book.entry("send", "Send")
    book.open()
    book.start("send")
    book.add(
        "step.verified", step="send", attempt=1, answer="done", outputs=None, reason="it is in the book", by="verify"
    )
    book.finish("send", reason="verified as done")
    report, _, html = rendered(book.events)
    assert "verify found that it was done (it is in the book)" in report.remarks[-1].text
    assert "it was done" in html


def test_evidence_is_whole():
    """Arguments, outputs, artifacts with their hashes, log lines, traces and tokens stand in both forms."""
    _, markdown, html = rendered(journals.red())
    for piece in ("5e" * 32, "ANOMALY stale quote", "raise VenueRefusal", ":live:1", "412.7", "48.2 kB", "15:45"):
        assert piece in markdown, piece
        assert piece in html, piece


def test_simulated_outputs_are_marked():
    """Outputs that a dry run made up are marked beside the step."""
    _, markdown, html = rendered(one_step(simulated=True, outputs={"x": 1}, reason="dry run: sample outputs"))
    assert "outputs simulated" in markdown
    assert '<span class="chip sim">simulated</span>' in html


# runs that did not end


def test_run_in_progress_can_be_reported():
    """Every prefix of a journal renders, and claims no outcome and no exit code before the end."""
    events = journals.red()
    for length in range(len(events)):
        report, markdown, html = rendered(events[:length])
        assert not report.outcome.final
        assert report.outcome.exit_code == ""
        assert "no exit code yet" in markdown
        Balance(html)


def test_interrupted_run_says_what_was_open():
    """An interruption, what a resume found changed, and a recovered line are all told."""
    report, markdown, _ = rendered(journals.interrupted())
    assert (report.outcome.key, report.outcome.exit_code) == ("interrupted", "7")
    said = " ".join(remark.text for remark in report.remarks)
    for piece in (
        "can be resumed",
        "torn last line (214 bytes)",
        "resumed by jon after changes (profiles/sim.yaml)",
        "SIGINT",
    ):
        assert piece in said
    assert "in 2 sittings" in markdown
    assert step_of(report, "branch").look is LOOKS["waiting"]


def test_step_without_an_end_is_not_passed():
    """A step that was started before the run was interrupted is shown as having no end on record."""
    book = Book()
    book.entry("only", "The only step")
    book.open()
    book.start("only")
    assert step_of(build_report(book.events), "only").look is LOOKS["running"]
    book.add("run.interrupted", reason="stopped by a signal")
    assert step_of(build_report(book.events), "only").look is LOOKS["unsettled"]


def test_unanswered_question_waits():
    """A run whose last word is an open question waits for a person."""
    book = Book()
    book.entry("t0", "T-0", "confirm", prompt="Ready?")
    book.open()
    book.add("prompt.opened", step="t0", prompt="Ready?", checklist=[], timeout_s=600, digest="")
    report = build_report(book.events)
    assert report.outcome.key == "waiting"
    assert "with 10 min 00 s to answer" in report.remarks[0].text


def test_finally_of_an_interrupted_sitting_does_not_count_after_a_resume():
    """`finally` runs again after a resume; what it did before the interruption is not shown as its end."""
    book = Book()
    book.entry("main", "Main")
    book.entry("eod", "End of day", section="finally")
    book.open()
    book.run("eod")
    book.add("run.interrupted", reason="stopped by a signal")
    book.add("run.resumed", pid=2, operator={"os_user": "jon"}, changes=[], accepted=False)
    assert step_of(build_report(book.events), "eod").look is LOOKS["pending"]


def test_tampered_journal_is_called_out():
    """A line that does not follow the one above it is the first remark, and no head hash is claimed."""
    events = journals.green()
    events[5]["data"]["status"] = "passed!"
    report, markdown, html = rendered(events)
    assert not report.chained
    assert report.head == ""
    assert report.remarks[0].title == "Journal"
    assert "do not follow each other" in markdown
    assert "do not follow each other" in html


# the pages themselves


@pytest.mark.parametrize("name", SAMPLES)
def test_html_is_well_formed(name):
    """Each tag is closed where it was opened, ids are unique, and each link leads to one of them."""
    page = Balance(rendered(SAMPLES[name]())[2])
    ids = [value for name, value in page.attributes if name == "id"]
    links = [value for name, value in page.attributes if name == "href"]
    assert len(ids) == len(set(ids))
    assert links
    assert {link.removeprefix("#") for link in links} <= set(ids)


@pytest.mark.parametrize("name", SAMPLES)
def test_html_asks_for_nothing(name):
    """The page holds no script, no style attribute and no address: it is whole, and its policy forbids the rest."""
    html = rendered(SAMPLES[name]())[2]
    page = Balance(html)
    assert not {"script", "link", "img", "iframe", "object", "embed", "base", "form"} & set(page.tags)
    assert not {name for name, _ in page.attributes if name.startswith("on") or name in ("style", "src", "srcset")}
    assert not re.search(r"https?://|url\(|@import", html)
    (policy,) = (value for name, value in page.attributes if name == "content" and "default-src" in value)
    assert policy.startswith("default-src 'none'; style-src 'sha256-")


def test_html_serves_phones_paper_and_the_dark():
    """The style knows narrow screens, print and dark colours, and tables and sections are named."""
    html = rendered(journals.green())[2]
    for rule in ("prefers-color-scheme: dark", "@media print", "max-width: 44rem", "<h2 ", "<caption>", 'scope="col"'):
        assert rule in html


def test_footer_prints_the_stock_commands():
    """The report of a finished run says what an auditor types; that of an unfinished one, that it is not signed yet."""
    _, markdown, html = rendered(journals.green())
    assert "ssh-keygen -Y verify" in markdown
    assert "ssh-keygen -Y verify" in html
    _, markdown, html = rendered(journals.green()[:-1])
    assert "Not signed yet" in markdown
    assert "Not signed yet" in html
    assert "ssh-keygen" not in markdown + html


def test_templates_ship_with_the_module():
    """The templates lie beside the module that reads them."""
    folder = Path(__file__).parents[2] / "aurora" / "evidence" / "templates"
    assert {path.name for path in folder.iterdir()} >= {"report.md.j2", "report.html.j2", "report.css"}


ROWS = [{"name": "loop_p95", "value": "5.5", "met": True}, {"name": "<b>|`x`", "value": None, "met": False}]


def test_a_list_of_alike_entries_is_a_table() -> None:
    """An output whose entries have the same keys has a column a key, and is no line of JSON beside it."""
    report, text, page = rendered(one_step(outputs={"findings": ROWS, "missed": []}))
    (table,) = step_of(report, "only").tables
    assert (table.name, table.heads) == ("findings", ("name", "value", "met"))
    assert table.rows == (("loop_p95", "5.5", "true"), ("<b>|`x`", "–", "false"))
    assert [named.name for named in step_of(report, "only").outputs] == ["missed"]
    assert "| `name` | `value` | `met` |\n|---|---|---|\n| loop_p95 | 5.5 | true |\n" in text
    assert "| &lt;b&gt;&#124;\\`x\\` | – | false |" in text
    assert "<td><bdi>&lt;b&gt;|`x`</bdi></td>" in page
    Balance(page)


@pytest.mark.parametrize("value", [
    [], [{}], [{"one": 1}], [{"a": 1, "b": 2}, {"b": 2, "a": 1}], [{"a": 1, "b": 2}, {"a": 1}], [{"a": 1, "b": [2]}],
    [{"a": 1, "b": {"c": 2}}], [{"a": 1, "b": 2}, 3], [{"a": 1, "b": 2}] * 201, [dict.fromkeys("abcdefghijk", 1)],
    {"a": 1, "b": 2}, "text",
])  # fmt: skip
def test_what_is_no_such_list_stays_a_value(value: Any) -> None:
    """Entries that differ, hold others, or are too many or too wide for a page are shown as one value, as before."""
    report, _, page = rendered(one_step(outputs={"found": value}))
    assert step_of(report, "only").tables == ()
    assert [named.name for named in step_of(report, "only").outputs] == ["found"]
    Balance(page)


def test_a_long_table_stands_in_the_evidence() -> None:
    """A table of over sixteen rows does not stand between the steps of the checklist; it is in the step's evidence."""
    for count in (16, 17):
        _, _, page = rendered(one_step(outputs={"found": [{"a": n, "b": n} for n in range(count)]}))
        assert (page.index('class="columns entries"') < page.index('<details class="evidence">')) == (count == 16)
