"""A desk with a live profile and persons who sign: real keys, real ssh-keygen, and people who always say the same."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

from aurora.engine.execute import GoingOn, resume_run, start_run
from aurora.engine.leg import Desk
from aurora.engine.prompts import Answer, Person, Prompt
from aurora.evidence.keys import ensure_key
from aurora.evidence.persons import VARIABLE, PersonSignatory
from aurora.evidence.signers import add_person
from tests.engine.kit import Ran, Recorder
from tests.evidence.sealed import Records, now

LIVE = """
    mode: live
    venue: live
    live: true
    secrets: [LAB_TOKEN]
    limit: 400
"""
ASKS = """
    params:
      profile: {type: string, default: real}
    steps:
      - {id: sure, confirm: "Ready?", checklist: [Flat, Awake]}
      - {id: go, uses: lab.work}
"""


class Says:
    """A person who says the same to each line, at once."""

    def __init__(self, *, yes: bool = True) -> None:
        self._yes = yes
        self.asked: list[Prompt] = []

    def ask(self, prompt: Prompt) -> Answer | None:
        self.asked.append(prompt)
        ticks = tuple((line, self._yes) for line in prompt.lines or (prompt.text,))
        return Answer(self._yes, "somebody", "terminal", "answered", ticks, refused=not self._yes)

    def descriptors(self) -> Sequence[int]:
        return ()

    def read(self) -> Answer | None:
        return None

    def close(self, reason: str) -> Answer:
        return Answer(False, "somebody", "terminal", reason)


def make_key(path: Path, passphrase: str = "") -> Path:
    """Make a key."""
    words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-C", "", "-f", str(path)]
    subprocess.run(words, check=True, stdin=subprocess.DEVNULL)
    return path


@contextmanager
def ssh_agent() -> Iterator[str]:
    """Start an agent and yield its socket; end both."""
    socket = f"/tmp/aurora-person-{os.getpid()}"  # a socket's path is short
    with subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()  # it says where it listens once it does
        try:
            yield socket
        finally:
            process.terminate()
            process.wait()
            Path(socket).unlink(missing_ok=True)


class LiveRecords(Records):
    """A project whose profile `real` is live; alice may confirm and review, with the key `alice` beside the project."""

    def __init__(self, root: Path, book: str = ASKS) -> None:
        super().__init__(root, book)
        self.lab.profile("real", LIVE)
        ensure_key(root, self.runs)
        self.alice = make_key(root.parent / "alice")
        self.enter("alice@desk", self.alice)

    def enter(
        self, principal: str, key: Path, roles: tuple[str, ...] = ("confirm", "review"), until: date | None = None
    ) -> None:
        """Let a person's key sign."""
        file = key.with_name(f"{key.name}.pub")
        add_person(self.lab.root, self.runs, principal, file, roles=roles, until=until, now=now())

    def signatory(self, key: Path | None = None, **environment: str) -> PersonSignatory:
        """Return who signs: alice, unless another key is named."""
        return PersonSignatory(self.lab.root, self.runs, {VARIABLE: str(key or self.alice), **environment})

    def live_desk(self, person: Person | None = None, signatory: PersonSignatory | None = None) -> Desk:
        """Return a desk at which alice sits and says yes, unless somebody else does."""
        keeper = self.keeper()
        signs = self.signatory() if signatory is None else signatory
        return Desk(Recorder(), person or Says(), on_end=keeper.closed, keeper=keeper, signatory=signs)

    def confirm(self, desk: Desk | None = None, book: str = "book", **params: Any) -> Ran:
        """Run a runbook to its end."""
        ran = start_run(self.lab.project, book, self.lab._params(book, params), desk or self.live_desk())
        return Ran(*ran)

    def go_on(self, desk: Desk | None = None, **options: Any) -> Ran:
        """Go on with the newest run."""
        return Ran(*resume_run(self.lab.project, "last", desk or self.live_desk(), GoingOn(**options)))

    @property
    def signers(self) -> Path:
        """Return the list of who may sign."""
        return self.runs / "allowed_signers"

    def drop(self, principal: str) -> None:
        """Take a person out of `allowed_signers`."""
        lines = self.signers.read_text().splitlines(keepends=True)
        self.signers.write_text("".join(line for line in lines if not line.startswith(f"{principal} ")))
