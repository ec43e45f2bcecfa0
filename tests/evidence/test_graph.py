import itertools
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aurora.evidence.graph_layout import Arrangement, Box, arrange, stack
from aurora.evidence.graph_svg import MAX_BOXES, graph_svg
from aurora.evidence.model import walk
from aurora.evidence.rendering import mermaid
from aurora.evidence.report import build_report, render_html
from tests.evidence import journals
from tests.evidence.journals import Book
from tests.evidence.test_report import Balance

KEYS = list("abcdefghijklmnop")
BOXES = st.lists(st.sampled_from(KEYS), unique=True, min_size=1, max_size=16).flatmap(
    lambda keys: st.tuples(*(st.builds(Box, st.just(key), st.floats(20, 300), st.floats(20, 200)) for key in keys))
)
EDGES = st.lists(st.tuples(st.sampled_from(KEYS), st.sampled_from(KEYS)), max_size=40)


def overlaps(boxes, drawn: Arrangement) -> list[tuple[str, str]]:
    """Return the pairs of boxes that lie over each other."""
    size = {box.key: box for box in boxes}
    found = []
    for (one, (x1, y1)), (other, (x2, y2)) in itertools.combinations(drawn.places.items(), 2):
        across = min(x1 + size[one].width, x2 + size[other].width) - max(x1, x2)
        along = min(y1 + size[one].height, y2 + size[other].height) - max(y1, y2)
        if across > 0.01 and along > 0.01:
            found.append((one, other))
    return found


@given(BOXES, EDGES, st.integers(1, 4))
def test_boxes_never_overlap(boxes, edges, columns):
    """Each box is placed once, inside the drawing, and lies over no other."""
    for drawn in (arrange(boxes, edges, columns=columns, row_width=500), stack(boxes, edges)):
        assert set(drawn.places) == {box.key for box in boxes}
        assert not overlaps(boxes, drawn)
        for box in boxes:
            x, y = drawn.places[box.key]
            assert -0.01 <= x <= drawn.width - box.width + 0.01
            assert -0.01 <= y <= drawn.height - box.height + 0.01


@given(BOXES, st.lists(st.tuples(st.integers(0, 15), st.integers(0, 15)), max_size=30))
def test_edges_go_down_in_one_column(boxes, pairs):
    """In one column, each edge of a graph without circles leads to a lower box."""
    keys = [box.key for box in boxes]
    edges = [(keys[a], keys[b]) for a, b in pairs if a < b < len(keys)]
    drawn = arrange(boxes, edges)
    height = {box.key: box.height for box in boxes}
    assert all(drawn.places[a][1] + height[a] < drawn.places[b][1] for a, b in edges)


def test_implied_edges_are_left_out():
    """An edge that a longer way implies is not drawn."""
    boxes = [Box(key, 10, 10) for key in "abc"]
    drawn = arrange(boxes, [("a", "b"), ("b", "c"), ("a", "c")])
    assert {edge[:2] for edge in drawn.edges} == {("a", "b"), ("b", "c")}


def test_circles_are_cut():
    """A circle of needs, which no runbook may have, is drawn all the same."""
    boxes = [Box(key, 10, 10) for key in "abc"]
    drawn = arrange(boxes, [("a", "b"), ("b", "c"), ("c", "a"), ("a", "a"), ("a", "nowhere")])
    assert {edge[:2] for edge in drawn.edges} == {("a", "b"), ("b", "c")}


def test_a_long_row_is_broken():
    """Very many steps side by side make several rows, not one that is a mile wide."""
    boxes = [Box(str(number), 200, 50) for number in range(40)]
    assert arrange(boxes, [], row_width=900).width <= 900


def test_a_long_chain_makes_columns():
    """A chain of sixty steps is laid out in columns that fit a page."""
    book = Book()
    for number in range(60):
        book.entry(f"step_{number}", f"Step number {number} with a title of some length")
    book.chain()
    book.open()
    width, height = (
        int(size) for size in re.findall(r'width="(\d+)" height="(\d+)"', graph_svg(build_report(book.events).steps))[0]
    )
    assert width <= 1_022
    assert height < 2_000


@pytest.mark.parametrize("narrow", [False, True])
def test_each_step_is_in_the_graph(narrow):
    """Each step and each item links to its place in the checklist, but for failure paths that stood by."""
    report = build_report(journals.green())
    svg = graph_svg(report.steps, narrow=narrow)
    drawn = set(re.findall(r'href="#(s\d+)"', svg))
    spared = {step.anchor for step in walk(report.steps) if step.id.startswith("live/on_failure/")}
    assert drawn == {step.anchor for step in walk(report.steps)} - spared


def test_narrow_graph_fits_a_phone():
    """The second form of the graph is no wider than a phone's page."""
    svg = graph_svg(build_report(journals.red()).steps, narrow=True)
    assert int(re.findall(r'width="(\d+)"', svg)[0]) <= 360


def test_a_thousand_steps_become_a_grid():
    """Past some number of boxes the graph is a grid of squares, and small."""
    events = journals.large(1_000)
    assert len(events) > MAX_BOXES
    html = render_html(build_report(events))
    assert html.count('class="cell"') == 2_000
    Balance(html)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 3), st.integers(1, 30), st.randoms(use_true_random=False))
def test_random_graphs_are_well_formed(depth, count, random):
    """Random nestings with random needs give one balanced SVG."""
    book = Book()
    prefixes = [""]
    for number in range(count):
        prefix = random.choice(prefixes)
        id_ = f"{prefix}n{number}"
        siblings = [entry["id"] for entry in book.entries if entry["parent"] == (prefix[:-1] or None)]
        book.entry(id_, f"Step {number}", needs=random.sample(siblings, min(len(siblings), random.randint(0, 3))))
        if id_.count("/") < depth:
            prefixes.append(f"{id_}/")
    book.open()
    for narrow in (False, True):
        Balance(graph_svg(build_report(book.events).steps, narrow=narrow))


def test_mermaid_holds_no_text_of_the_runbook():
    """The Markdown form of the graph is made of ids with everything but plain characters replaced."""
    book = Book()
    book.entry('x"]; click s1 "javascript:alert(1)"', "title")
    book.open()
    assert 's1["– x··· click s1 ·javascript·alert·1··"]:::off' in mermaid(build_report(book.events).steps)


def test_no_steps_no_graph():
    """A run without steps has no graph."""
    assert graph_svg(()) == ""
    assert mermaid(()) == ""
