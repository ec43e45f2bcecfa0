"""GitHub: one open issue for each thing that is wrong, and what protects the branch, through PyGithub.

What an issue is about is its fingerprint, hidden in its body; a later occurrence is a comment, and each names its run,
so that a step which runs again after a crash files nothing twice. The address is GITHUB_API_URL's, as in Actions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from github.Issue import Issue
    from github.Repository import Repository

TOKEN, REPOSITORY, ADDRESS = "GITHUB_TOKEN", "GITHUB_REPOSITORY", "GITHUB_API_URL"
PUBLIC = "https://api.github.com"
LABEL = "aurora"
TIMEOUT_S = 10
LONGEST_BODY = 60_000
"""In characters: GitHub takes 65,536."""

LONGEST_TITLE = 250
_TEMPLATES = Path(__file__).parent / "templates"
_SAID = {
    401: f"GitHub does not know the token (401): renew {TOKEN}",
    403: f"GitHub forbids it (403): give {TOKEN} the right to issues and to read administration, or wait for its limit",
    404: f"GitHub knows no such repository or branch for this token (404): see {REPOSITORY}",
    410: "the repository has no issues (410): switch them on",
    422: "GitHub could not take what was sent (422)",
    429: "GitHub asks for patience (429): too many requests; the next run tries again",
}
R = TypeVar("R")


class Unreachable(Exception):
    """GitHub did not do what was asked; the text says why and what to do, and holds no secret."""


@dataclass(frozen=True)
class Filed:
    """What became of an issue. filed: it stands there. action: created, commented, already there, or none."""

    filed: bool
    action: str
    number: int | None
    note: str


@dataclass(frozen=True)
class Protection:
    """What protects a branch. known: GitHub answered.

    missing:   required checks that the branch does not require. not_green: checks whose last run was not a success.
    """

    known: bool
    missing: list[str]
    not_green: list[str]
    note: str


@dataclass(frozen=True)
class Occurrence:
    """One time that something was wrong: what (the fingerprint), in which run, and the text for people."""

    fingerprint: str
    run: str
    title: str
    facts: Mapping[str, Any]


def file_issue(environment: Mapping[str, str], occurrence: Occurrence, mask: Callable[[str], str]) -> Filed:
    """Open an issue for `occurrence`, or comment on the open one of its fingerprint; never raises for GitHub's answer.

    environment: holds the token, the repository and the address. mask: takes secrets out of what is sent.
    """
    body, title = mask(_render(occurrence))[:LONGEST_BODY], mask(occurrence.title)[:LONGEST_TITLE]
    try:
        return ask_github(environment, lambda repository: _file(repository, occurrence, title, body))
    except Unreachable as why:
        return Filed(False, "none", None, str(why))


def read_protection(environment: Mapping[str, str], branch: str, checks: Sequence[str]) -> Protection:
    """Look whether `branch` requires each of `checks`, and whether their last runs there were green."""
    try:
        return ask_github(environment, lambda repository: _protection(repository, branch, checks))
    except Unreachable as why:
        return Protection(False, list(checks), list(checks), str(why))


def ask_github(environment: Mapping[str, str], ask: Callable[[Repository], R]) -> R:
    """Return what `ask` finds in the repository that `environment` names. Raises Unreachable, with what to do."""
    token, name = environment.get(TOKEN, "").strip(), environment.get(REPOSITORY, "").strip()
    address = environment.get(ADDRESS, "").strip() or PUBLIC
    for variable, value in ((TOKEN, token), (REPOSITORY, name)):
        if not value:
            raise Unreachable(f"{variable} is not set; GitHub was not asked")
    if name.count("/") != 1:
        raise Unreachable(f"{REPOSITORY} was {name!r}; write owner/name")
    if not _is_safe(address):
        raise Unreachable(f"{ADDRESS} is no https address; the token was not sent")
    return _guarded(token, name, address, ask)


def _guarded(token: str, name: str, address: str, ask: Callable[[Repository], R]) -> R:
    from github import Auth, Github, GithubException  # noqa: PLC0415 - a fifth of a second that few steps need
    from requests.exceptions import RequestException  # noqa: PLC0415 - the same

    try:
        options: dict[str, Any] = {"timeout": TIMEOUT_S, "retry": None, "seconds_between_requests": None}
        with Github(base_url=address, auth=Auth.Token(token), lazy=True, **options) as github:
            return ask(github.get_repo(name))
    except GithubException as error:
        raise Unreachable(
            _SAID.get(error.status, f"GitHub answered {error.status}; the next run tries again")
        ) from None
    except RequestException as error:
        raise Unreachable(f"GitHub can't be reached ({type(error).__name__}); the next run tries again") from None
    except (ValueError, TypeError, AttributeError, KeyError) as error:  # JSON of another form than the library's
        raise Unreachable(f"GitHub's answer could not be read ({type(error).__name__})") from None


def _is_safe(address: str) -> bool:
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
    except ValueError:
        return False
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and host in ("127.0.0.1", "::1")))


def _file(repository: Repository, occurrence: Occurrence, title: str, text: str) -> Filed:
    mark, seen = f"<!-- aurora:{occurrence.fingerprint} -->", f"<!-- run:{occurrence.run} -->"
    body = f"{mark}\n{seen}\n{text}"
    issue = _open_issue(repository, mark)
    if issue is None:
        made = repository.create_issue(title, body, labels=[LABEL])
        return Filed(True, "created", made.number, f"issue #{made.number} was opened")
    if seen in (issue.body or "") or any(seen in (comment.body or "") for comment in issue.get_comments()):
        return Filed(True, "already there", issue.number, f"issue #{issue.number} tells of this run already")
    issue.create_comment(body)
    return Filed(True, "commented", issue.number, f"issue #{issue.number} has one more comment")


def _open_issue(repository: Repository, mark: str) -> Issue | None:
    """Return the oldest open issue with the mark; the list is exact, GitHub's search lags behind."""
    for issue in repository.get_issues(state="open", labels=[LABEL], sort="created", direction="asc"):
        if issue.pull_request is None and mark in (issue.body or ""):
            return issue
    return None


def _render(occurrence: Occurrence) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415 - only what files needs it

    texts = Environment(  # noqa: S701 - Markdown for GitHub, which cleans what it shows  # nosec B701
        loader=FileSystemLoader(_TEMPLATES), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return texts.get_template("issue.md.j2").render(fingerprint=occurrence.fingerprint, **occurrence.facts)


def _protection(repository: Repository, name: str, checks: Sequence[str]) -> Protection:
    branch = repository.get_branch(name)
    required = set(branch.get_required_status_checks().contexts) if branch.protected else set()
    last: dict[str, str] = {}
    for run in branch.commit.get_check_runs(filter="latest"):
        last.setdefault(run.name, run.conclusion or run.status)
    for status in branch.commit.get_combined_status().statuses:
        last.setdefault(status.context, status.state)
    missing = [check for check in checks if check not in required]
    said = {check: last.get(check) or last.get(check.rpartition(" / ")[2]) or "no run" for check in checks}
    not_green = [f"{check}: {end}" for check, end in said.items() if end != "success"]
    return Protection(True, missing, not_green, f"branch {name} at {branch.commit.sha[:12]}")
