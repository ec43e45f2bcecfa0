from __future__ import annotations

import subprocess
import sys
from decimal import Decimal

import pytest

from aurora.engine.document import parse_document
from aurora.engine.expressions import ExpressionError, parse_expression
from aurora.gateway.wire import FieldError, Fields
from aurora.written_number import read_number
from tests.trading import ROOT

TOO_FAR = ["1e61", "1e-61", "1e61999999999999999999999", "-1e-61999999999999999999999", "0e99999999999999999999"]


@pytest.mark.parametrize("text", ["0", "-1.50", "1e6", "1e60", "1e-60"])
def test_number_is_exact(text: str) -> None:
    """What somebody means is read to the last digit."""
    assert str(read_number(text, 60)) == str(Decimal(text))


@pytest.mark.parametrize("text", TOO_FAR)
def test_number_that_nobody_means_is_none(text: str) -> None:
    """Too large, too small, or with an exponent that decimal itself can't hold."""
    assert read_number(text, 60) is None


@pytest.mark.parametrize("text", [each for each in TOO_FAR if "999999" in each])
def test_each_reader_refuses_it_in_words(text: str) -> None:
    """In a file, a gate, a flag and on the wire: a fault, and no traceback."""
    (fault,) = parse_document(f"steps: {text}\n".encode(), "a.yaml").faults
    assert "the number is too long" in str(fault)
    with pytest.raises(ExpressionError, match="too large or too small"):
        parse_expression(f"steps.a.b < {text.removeprefix('-')}")
    with pytest.raises(FieldError, match="is no number"):
        Fields([text]).number()
    words = [sys.executable, "-m", "aurora", "runbook", "warmup", f"--poll-sec={text}"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, "must be a number" in done.stderr) == (2, True), done.stderr
