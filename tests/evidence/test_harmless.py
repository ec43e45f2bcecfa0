import json
import math
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from aurora.evidence.harmless import block, bytes_text, line, seconds_text, value_text
from aurora.evidence.rendering import cell, code, escape_markdown, fence
from tests.evidence.journals import Book, gate
from tests.evidence.test_report import Balance, rendered

HOSTILE = {
    "script": "<script>alert(1)</script>",
    "attribute": '" onmouseover="alert(1)" x="',
    "markdown": "**bold** _it_ [link](javascript:alert(1)) ![img](http://evil.example/x.png) # head",
    "table": "a | b || c \\| d",
    "ticks": "`code` ``` fence ```` ~~~",
    "newlines": "one\ntwo\r\nthree\rfour\n\n# heading\n- item\n```\nopen fence",
    "address": "https://evil.example/ www.evil.example <https://evil.example>",
    "ansi": "\x1b[31mred\x1b[0m \x1b]8;;http://evil.example\x07link\x1b]8;;\x07",
    "controls": "a\x00b\x07c\x08d\x7fe\x85f\x9b31m",
    "bidi": "abc\u202egpj.exe\u202c \u2066isolate\u2069 \u200fmark",
    "invisible": "pass\u200bword \ufeff \u2060 \U000e0041",
    "separators": "one\u2028two\u2029three",
    "surrogate": "lone \ud800 end",
    "marks": "z" + "\u0301" * 400,
    "template": "{{ 7 * 7 }} {% raw %} {# c #} ${x} $e^x$",
    "entity": "&lt;b&gt; &#60;script&#62; &amp;",
    "svg": "</title></svg><script>alert(1)</script>]]>-->",
    "style": "</style><style>*{display:none}",
    "long": "x" * 300_000,
}
ACTING = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}


def hostile_run(text: str):
    """Return a journal that holds `text` wherever a journal can hold text."""
    book = Book()
    book.entry(f"s/{text}", text, gates=[text], checklist=[text], prompt=text, uses=text, effects=[text])
    book.entry("confirm", text, "confirm", prompt=text, checklist=[text])
    book.entry("group", text, "runbook", runbook=text)
    book.entry("group/in", text)
    book.open(
        run=text,
        runbook=text,
        title=text,
        mode=text,
        venue=text,
        params={text: text},
        profile={"name": text, "digest": text, "files": [text]},
        answers={"file": text, "sha256": text},
        operator={"os_user": text, "host": text, "terminal": text},
        versions={text: text},
        code={"commit": text, "dirty": True},
        locks=[text],
        inputs=[{"name": text, "sha256": text}],
        requires=[{"runbook": text, "outcome": text, "within": text, "same": [text], "verdict": text, "reason": text}],
    )
    error = {"type": text, "message": text, "trace": text}
    for step in (f"s/{text}", "group/in", text):
        book.start(step, with_={text: [text, {text: text}]})
        book.add("step.retrying", step=step, attempt=1, status=text, error=error, delay_s=text)
        book.add("step.verified", step=step, attempt=1, answer=text, outputs=text, reason=text, by=text)
        book.start(step, 2)
        book.finish(
            step,
            text,
            reason=text,
            outputs={text: text, "nested": [{text: text}]},
            error=error,
            log=[text, text],
            gates=[gate(text, "red", **{text: text}) | {"message": text, "error": text}],
            artifacts=[{"name": text, "bytes": text, "sha256": text}],
        )
    book.add("prompt.opened", step="confirm", prompt=text, checklist=[text], timeout_s=text, digest=text)
    book.add(
        "prompt.answered",
        step="confirm",
        accepted=True,
        by=text,
        source=text,
        reason=text,
        answers=[{"line": text, "answer": text}, {"line": text, "answer": "yes"}],
    )
    book.add("run.stopping", reason=text)
    book.add("run.interrupted", reason=text)
    book.add("run.resumed", pid=text, operator={"os_user": text}, changes=[text], accepted=text)
    book.add("journal.recovered", bytes=text, saved_as=text)
    book.add("run.finished", outcome=text, exit_code=text, elapsed_s=text)
    return book.events


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_does_nothing_in_html(name):
    """Whatever a journal holds: the page keeps its shape, its tags and its policy, and runs nothing."""
    tame = Balance(rendered(hostile_run("tame"))[2])
    page = Balance(rendered(hostile_run(HOSTILE[name]))[2])
    assert set(page.tags) <= set(tame.tags)
    assert {name for name, _ in page.attributes} <= {name for name, _ in tame.attributes}
    assert all(value.startswith("#s") for name, value in page.attributes if name == "href")
    assert page.tags.count("style") == 1


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_does_nothing_in_markdown(name):
    """Whatever a journal holds: no raw HTML but our own code tags, no links, no images, and no new headings."""
    tame = tokens(rendered(hostile_run("tame"))[1])
    found = tokens(rendered(hostile_run(HOSTILE[name]))[1])
    assert found["heading_open"] == tame["heading_open"]
    assert found["table_open"] == tame["table_open"]
    assert found["tr_open"] == tame["tr_open"]
    assert found["bullet_list_open"] == tame["bullet_list_open"]
    assert not {"link_open", "image", "html_block", "em_open", "s_open", "ordered_list_open", "hardbreak"} & set(found)
    assert found["tags"] <= {"<code>", "</code>"}


def tokens(markdown: str):
    """Return how often each kind of token stands in `markdown`, read as a git host does, and its raw tags."""
    counted: dict[str, Any] = {"tags": set()}
    for token in MarkdownIt("gfm-like", {"linkify": False}).parse(markdown):
        for each in [token, *(token.children or [])]:
            counted[each.type] = counted.get(each.type, 0) + 1
            if each.type == "html_inline":
                counted["tags"].add(each.content)
    return counted


@pytest.mark.parametrize("name", HOSTILE)
def test_no_form_holds_characters_that_act(name):
    """No control character, bidi override or invisible character reaches a page; newlines are the template's."""
    _, markdown, html = rendered(hostile_run(HOSTILE[name]))
    for form in (markdown, html):
        assert not {char for char in form if unicodedata.category(char) in ACTING} - {"\n"}
        form.encode()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31m", "⟨U+001B⟩[31m"),
        ("a\nb", "a ⏎ b"),
        ("a\r\nb", "a ⏎ b"),
        ("a\rb", "a⟨U+000D⟩b"),
        ("\u202ex", "⟨U+202E⟩x"),
        ("a\tb", "a b"),
        ("\ud800", "⟨U+D800⟩"),
        ("é ü 漢 🙂", "é ü 漢 🙂"),
        ("e\u0301", "e\u0301"),
    ],
)
def test_what_acts_is_made_visible(text, shown):
    """A character that acts is replaced by its number; writing in any language is left as it is."""
    assert line(text) == shown


def test_long_text_is_shortened_and_says_so():
    """A 10 MB text is cut, with its length stated."""
    text = "x" * 10_000_000
    shown = line(text)
    assert len(shown) < 320
    assert "10,000,000 characters, the first 240 shown" in shown
    assert "the last 8,000 shown" in block(text + "the end", end=True)
    assert block(text + "the end", end=True).endswith("the end")


def test_a_long_text_can_not_pass_for_a_short_one():
    """A long text that ends in our own words is cut all the same."""
    assert len(line("x" * 100_000 + "… [3 entries, shortened]")) < 400


def test_long_lists_are_shortened_and_say_so():
    """A list of a million is never written out; the number of its entries is."""
    assert value_text([1] * 1_000_000).endswith("… [1,000,000 entries, shortened]")
    assert value_text({"a": ["x" * 10_000_000]}).endswith("[1 entry, shortened]")


def test_numbers_that_are_none_have_names():
    """NaN and infinity are shown by name, in the journal's form and in Python's."""
    assert value_text({"$float": "nan"}) == "NaN"
    assert value_text([{"$float": "-inf"}, math.inf]) == "[-Infinity, Infinity]"
    assert value_text({"$float": "other"}) == '{"$float": "other"}'
    assert value_text(10**5_000) == "an integer of 16,610 bits"


def test_deep_values_end():
    """A value nested a thousand deep is shown down to a depth."""
    deep: list[Any] = []
    for _ in range(1_000):
        deep = [deep]
    assert value_text(deep) == "[" * 12 + "[…]" + "]" * 12


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0.00 s"),
        (0.0001, "under 1 ms"),
        (0.012, "12 ms"),
        (0.41, "0.41 s"),
        ("12.34", "12.3 s"),
        (59.96, "1 min 00 s"),
        (185, "3 min 05 s"),
        (3_725, "1 h 02 min"),
        (-1, "-1"),
        (math.nan, "NaN"),
        ({"$float": "nan"}, ""),
        (True, ""),
        (None, ""),
    ],
)
def test_seconds_read_well(seconds, shown):
    """Times are given in the unit that a person would use; what is no time is not made one."""
    assert seconds_text(seconds) == shown


@pytest.mark.parametrize(
    ("size", "shown"), [(1, "1 byte"), (812, "812 bytes"), (1_482_110, "1.5 MB"), (-2, "-2"), ("x", "")]
)
def test_sizes_read_well(size, shown):
    """Sizes are given in bytes or decimal units."""
    assert bytes_text(size) == shown


@given(st.text(max_size=60))
def test_markdown_shows_any_line_as_it_is(text):
    """A text that was escaped, as text, code, or code in a table, reads as it was."""
    shown = line(text)
    for escaped in (escape_markdown(shown), code(shown), cell(shown)):
        (inline,) = [
            token
            for token in MarkdownIt("gfm-like", {"linkify": False}).parse(f"x {escaped} x")
            if token.type == "inline"
        ]
        words = "".join(child.content for child in inline.children or [] if child.type != "html_inline")
        assert " ".join(words.split()) == " ".join(f"x {shown} x".split())


@given(st.text(alphabet="ab|\\` <&*_~[]", max_size=20))
def test_a_table_cell_stays_one_cell(text):
    """No text ends its cell early or spills into another."""
    table = f"| a | b |\n|---|---|\n| {cell(text)} | {escape_markdown(text)} |\n"
    kinds = [token.type for token in MarkdownIt("gfm-like", {"linkify": False}).parse(table)]
    assert kinds.count("td_open") == 2
    assert kinds.count("tr_open") == 2


@given(st.text(alphabet="a`~\n ", max_size=30))
def test_a_fence_is_closed_by_its_own_end_only(text):
    """A block of text can't close its fence."""
    kinds = [token.type for token in MarkdownIt("gfm-like", {"linkify": False}).parse(fence(text))]
    assert kinds == ["fence"]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    )
)
def test_any_value_becomes_one_line(value):
    """Every JSON value can be shown, on one line."""
    shown = value_text(value)
    assert shown
    assert "\n" not in shown
    shown.encode()


def test_ten_megabytes_in_a_run_make_a_small_report():
    """A step that hands out 10 MB makes a report of some kilobytes, in both forms."""
    book = Book()
    book.entry("big", "Big")
    book.open()
    book.run(
        "big", outputs={"text": "<" * 10_000_000, "rows": [{"n": n} for n in range(100_000)]}, log=["y" * 10_000_000]
    )
    json.dumps(book.events)
    _, markdown, html = rendered(book.events)
    assert "10,000,000 characters" in markdown
    assert len(markdown) < 50_000
    assert len(html) < 80_000
