"""Secrets: masked in every form and everywhere that something is written (engine rule 24)."""

from __future__ import annotations

import base64
import html
import json
import re
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aurora.engine.console import JsonLines, PlainLines
from aurora.engine.secrets import Masker, read_environment, secrets_of
from aurora.errors import OperatorError, UsageError
from tests.engine.kit import BASE, Lab, Recorder

SECRET = "t0p/s3cr€t+4711 <&> \"quoted\" 'x'\\n"
"""With what URL, JSON and repr quoting change."""


@pytest.fixture
def masker() -> Masker:
    """A masker of one secret."""
    return Masker({"TOKEN": SECRET})


# ── The forms of a secret ────────────────────────────────────────────────────────────────────────────────────────────
FORMS = {
    "plain": SECRET,
    "inside": f"GET /?token={SECRET}&x=1",
    "JSON": json.dumps({"a": SECRET}),
    "JSON, not ASCII": json.dumps({"a": SECRET}, ensure_ascii=False),
    "repr": repr({"a": SECRET}),
    "URL": "https://u:" + quote(SECRET, safe="") + "@host/",
    "URL path": quote(SECRET),
    "form": quote_plus(SECRET),
    "URL in small letters": re.sub("%..", lambda each: each[0].lower(), quote(SECRET, safe="")),
    "HTML": html.escape(SECRET),
    "HTML text": html.escape(SECRET, quote=False),
    "HTML by Jinja": html.escape(SECRET).replace("&quot;", "&#34;").replace("&#x27;", "&#39;"),
    "base64": base64.b64encode(SECRET.encode()).decode(),
    "base64 at offset 1": base64.b64encode(b"u" + SECRET.encode() + b"tail").decode(),
    "base64 at offset 2": base64.b64encode(b"us" + SECRET.encode() + b"tail").decode(),
    "base64 at offset 3": base64.b64encode(b"usr" + SECRET.encode()).decode(),
    "base64 for URLs": base64.urlsafe_b64encode(b"user:" + SECRET.encode()).decode(),
}


@pytest.mark.parametrize("how", list(FORMS))
def test_each_form_is_masked(masker: Masker, how: str) -> None:
    """Engine rule 24: a secret is masked as it is, and JSON-, repr- and URL-quoted, and in base64 at each offset."""
    assert masker.holds(FORMS[how])
    masked = masker.text(FORMS[how])
    assert "***" in masked
    assert not masker.holds(masked)
    assert "s3cr" not in masked


def test_lines_and_leaves_are_masked() -> None:
    """Engine rule 24: each line of a secret of many lines is masked alone, and each leaf of one that is JSON."""
    key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG\nshort\nw0BAQEFAASCBKcwggSj\n-----END KEY-----"
    account = json.dumps({"user": "account-77", "keys": [{"secret": "aaaa-bbbb-cccc"}], "n": 1})
    masker = Masker({"KEY": key, "ACCOUNT": account})
    assert masker.text("line: w0BAQEFAASCBKcwggSj!") == "line: ***!"
    assert masker.text("it was aaaa-bbbb-cccc of account-77") == "it was *** of ***"
    assert masker.text("short") == "short"


def test_short_values_are_not_secrets() -> None:
    """Engine rule 24: a value under eight characters is not masked (777 would hit quantities), but it is named."""
    masker = Masker({"PIN": "777", "TOKEN": "long-enough", "EMPTY": ""})
    assert masker.text("777 shares, long-enough") == "777 shares, ***"
    assert masker.short == ["PIN"]


def test_only_what_the_profile_names_is_a_secret() -> None:
    """Engine rule 24: secrets are the names that the profile lists, not every line of the environment."""
    environment = {"TOKEN": "abcdefgh", "HOME": "/home/trader", "EMPTY": ""}
    assert secrets_of(["TOKEN", "EMPTY", "MISSING"], environment) == {"TOKEN": "abcdefgh"}


def test_json_data_is_masked_in_keys_and_numbers() -> None:
    """Engine rule 24: masking walks through lists and maps, and knows a secret that is a number."""
    masker = Masker({"A": "key-of-keys", "B": "1234567890"})
    data = {"key-of-keys": [1234567890, 5, True, None, {"x": "my key-of-keys!"}], "n": 1.5}
    assert masker(data) == {"***": ["***", 5, True, None, {"x": "my ***!"}], "n": 1.5}


def test_longest_secret_goes_first() -> None:
    """Of two secrets, one inside the other, no rest of the longer one is left to see."""
    masker = Masker({"A": "password", "B": "password-with-more"})
    assert masker.text("password-with-more password") == "*** ***"


@settings(deadline=None)
@given(secret=st.text(min_size=8, max_size=40), before=st.binary(max_size=5), after=st.binary(max_size=5))
def test_no_text_hides_a_secret(secret: str, before: bytes, after: bytes) -> None:
    """Engine rule 24: whatever a secret is made of, its usual forms are found."""
    if len(secret.encode("utf-8", "surrogatepass")) < 8 or any(0xD800 <= ord(char) < 0xE000 for char in secret):
        return
    masker = Masker({"S": secret})
    assert masker.holds(f"x{secret}y")
    assert masker.holds(json.dumps([secret]))
    assert masker.holds(base64.b64encode(before + secret.encode() + after).decode())


# ── The environment ──────────────────────────────────────────────────────────────────────────────────────────────────
def test_env_file_lies_under_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is exported wins over `.env`; quotes are taken off, and nothing is interpolated."""
    path = tmp_path / ".env"
    path.write_text("# a comment\nLAB_A=one\nexport LAB_B='two words'\nLAB_C=\"$LAB_A\"\nLAB_D\n")
    path.chmod(0o600)
    monkeypatch.setenv("LAB_A", "exported")
    found = read_environment(tmp_path)
    assert {name: value for name, value in found.items() if name.startswith("LAB_")} == {
        "LAB_A": "exported",
        "LAB_B": "two words",
        "LAB_C": "$LAB_A",
    }


# ── A whole run ──────────────────────────────────────────────────────────────────────────────────────────────────────
LEAKS = """
import base64, os, sys, urllib.parse
from dataclasses import dataclass
from aurora.engine.context import Context
from aurora.engine.registry import Verdict, step

@dataclass(frozen=True)
class Out:
    text: str

def token() -> str:
    return os.environ["LAB_TOKEN"]

@step(repeat="safe")
def log(context: Context) -> None:
    print("plain", token())
    print("repr", repr({"a": token()}))
    print("64", base64.b64encode(b"user:" + token().encode()).decode())
    print("url", urllib.parse.quote(token(), safe=""))
    print("x" * 1_990 + token())
    sys.stderr.write("to stderr " + token() + "\\n")
    context.log(token())
    context.progress(1, 2, "at " + token())

@step(repeat="safe")
def fail(padding: int = 0) -> None:
    secret = token()
    try:
        raise KeyError(secret)
    except KeyError as error:
        raise RuntimeError("x" * padding + secret) from error

@step(repeat="safe")
def output(how: str) -> Out:
    forms = {"plain": token(), "64": base64.b64encode(token().encode()).decode(), "url": urllib.parse.quote(token())}
    return Out("it is " + forms[how])

def look() -> Verdict:
    return Verdict("unknown", reason="the venue said " + token())

@step(verify=look)
def die() -> None:
    os._exit(1)
"""
VALUE = "t0p/s3cr€t+4711"


@pytest.fixture
def leaky(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """A project with steps that tell secrets."""
    lab.steps("leaks", LEAKS)
    monkeypatch.setenv("LAB_TOKEN", VALUE)
    return lab


def written(lab: Lab) -> str:
    """Return all that the newest run has written, in every file."""
    files = [path for path in lab.last().folder.rglob("*") if path.is_file()]
    return "\n".join(path.read_text("utf-8", "replace") for path in files)


def test_what_a_step_says_is_masked(leaky: Lab) -> None:
    """Engine rule 24: log lines, progress and the record of a step hold no secret, not even half of one at a cut."""
    leaky.book("\n    steps:\n      - {id: a, uses: leaks.log}\n")
    ran = leaky.run()
    assert ran.outcome == "green"
    told = "\n".join(line for _, line in ran.listener.logs) + "\n".join(each.label for _, each in ran.listener.progress)
    for text in (told, written(leaky)):
        assert "t0p" not in text
        assert base64.b64encode(VALUE.encode()).decode()[:12] not in text
        assert "to stderr ***" in text
    assert max(len(line) for _, line in ran.listener.logs) < 2_000


def test_what_a_step_raises_is_masked(leaky: Lab) -> None:
    """Engine rule 24: message, causes and traceback of an error hold no secret, not even half of one at a cut."""
    leaky.book("""
    steps:
      - {id: a, uses: leaks.fail, on_failure: continue}
      - {id: b, uses: leaks.fail, with: {padding: 19990}}
    """)
    ran = leaky.run()
    short, long = (ran.end(step)["error"] for step in "ab")
    assert (short["type"], short["message"]) == ("RuntimeError", "***")
    assert "KeyError: '***'" in short["trace"]
    assert len(long["message"]) < 20_000
    assert "t0p" not in written(leaky)


@pytest.mark.parametrize("how", ["plain", "64", "url"])
def test_output_with_a_secret_fails_the_step(leaky: Lab, how: str) -> None:
    """Engine rule 24: a step whose output holds a secret is broken, and its outputs are thrown away."""
    leaky.book(f"""
    steps:
      - {{id: a, uses: leaks.output, with: {{how: "{how}"}}, gate: text == 'x'}}
    """)
    ran = leaky.run()
    end = ran.end("a")
    assert (end["status"], end["outputs"], end["gates"], end["error"]["type"]) == ("broken", None, [], "SecretInOutput")
    assert "t0p" not in written(leaky)


def test_verdict_of_verify_is_masked(leaky: Lab) -> None:
    """Engine rule 24: what a `verify` function says goes through the same writer."""
    leaky.book("\n    steps:\n      - {id: a, uses: leaks.die}\n")
    ran = leaky.run()
    assert ran.of("step.verified")[0]["reason"] == "the venue said ***"
    assert "t0p" not in written(leaky)


def test_parameter_with_a_secret_is_refused(leaky: Lab) -> None:
    """Engine rule 24: a secret on the command line is refused: others can see it, and a resume would get `***`."""
    leaky.book("params: {p: {type: string, default: x}}\nsteps:\n  - {id: a, uses: lab.work}\n")
    with pytest.raises(UsageError, match="parameter holds a secret"):
        leaky.run({"p": VALUE})
    assert not list(leaky.root.glob("runs/2*"))
    done = leaky.command("runbook", "book", "--p", VALUE, env={"LAB_TOKEN": VALUE})
    assert done.returncode == 2
    assert VALUE not in done.stdout + done.stderr


@pytest.mark.parametrize("name", ["runbooks/book.yaml", "profiles/base.yaml", "steps/lab.py", "answers.yaml"])
def test_file_with_a_secret_is_refused(leaky: Lab, name: str) -> None:
    """Engine rule 24: secrets never come from files that are copied into the record; the message does not show it."""
    leaky.book("\n    steps:\n      - {id: a, uses: lab.work}\n")
    text = (leaky.root / name).read_text() if name != "answers.yaml" else "a: yes\n"
    leaky.write(name, f"{text}\n# {VALUE}\n")
    with pytest.raises(OperatorError, match=f"{name} holds a secret") as caught:
        leaky.run(answers=f"a: yes\n# {VALUE}\n" if name == "answers.yaml" else None)
    assert VALUE not in caught.value.diagnostics()
    assert not list(leaky.root.glob("runs/2*"))


def test_argument_with_a_secret_breaks_the_step(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Engine rule 24: a template that yields a secret breaks its step: arguments are on record, and would be masked."""
    monkeypatch.setenv("LAB_TOKEN", "part-one-part-two")
    lab.book("""
    params: {p: {type: string, default: part-two}}
    steps:
      - {id: a, uses: lab.work, with: {text: "part-one-{{ params.p }}"}, on_failure: continue}
      - {id: s, runbook: inner, with: {p: "part-one-{{ params.p }}"}, on_failure: continue}
      - {id: q, uses: lab.work, foreach: ["{{ params.p }}"], with: {text: "part-one-{{ item }}"}}
    """)
    lab.book("params: {p: {type: string}}\nsteps:\n  - {id: x, uses: lab.work}\n", "inner")
    ran = lab.run()
    assert {ran.statuses[step] for step in ("a", "s", "q[0]")} == {"broken"}
    for step in ("a", "s", "q[0]"):
        assert "holds a secret" in ran.end(step)["error"]["message"]
    assert "part-one-part-two" not in written(lab)
    assert lab.run(dry_run=True).statuses["a"] == "broken"


def test_console_shows_no_secret(leaky: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    """Engine rule 24: neither plain lines nor JSON lines show what the journal may not hold."""
    leaky.book("\n    steps:\n      - {id: a, uses: leaks.log}\n      - {id: b, uses: leaks.fail}\n")
    ran = leaky.run(listener=Recorder())
    for listener in (PlainLines(), JsonLines()):
        for event in ran.events:
            listener.on_event(event)
    done = leaky.command("runbook", "book", env={"LAB_TOKEN": VALUE})
    assert done.returncode == 1
    shown = capsys.readouterr().out + done.stdout + done.stderr
    assert "***" in shown
    assert "t0p" not in shown
    assert "t0p" not in written(leaky)


def test_secret_of_the_env_file_is_masked(lab: Lab) -> None:
    """Engine rule 24: a secret may come from a 0600 `.env`."""
    lab.steps("leaks", LEAKS)
    path = lab.write(".env", f"LAB_TOKEN={VALUE}\n")
    path.chmod(0o600)
    lab.book("\n    steps:\n      - {id: a, uses: leaks.log}\n")
    assert lab.command("runbook", "book").returncode == 0
    assert "***" in written(lab)
    assert "t0p" not in written(lab)


def test_value_that_no_profile_names_is_shown(leaky: Lab) -> None:
    """Engine rule 24: what the profile does not list is no secret."""
    leaky.profile("base", BASE.replace("secrets: [LAB_TOKEN]", "secrets: []"))
    leaky.book("\n    steps:\n      - {id: a, uses: leaks.log}\n")
    leaky.run()
    assert VALUE in "\n".join(leaky.last().end("a")["log"])
