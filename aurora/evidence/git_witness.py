"""The git witness: the ledger and the evidence of sealed runs, pushed to a remote that does not forget.

A repository of its own, `runs/.witness.git`, whose work tree is `runs/`; the project's own is never touched. What is
pushed: ledger, its signature, who may sign, and each sealed run's evidence with its signature. Journals, reports and
artifacts stay here; their digests are in the evidence. Nothing is ever forced: a remote that is not behind us is a
finding, not an obstacle.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from aurora.errors import RecordError
from aurora.evidence.ledger import NAME, Head, LedgerText, read_ledger
from aurora.evidence.statement import FILE, SIGNATURE
from aurora.evidence.witness import desk_name

FOLDER = ".witness.git"
PATIENCE_S = 60.0
_AUTHOR = {"NAME": "aurora", "EMAIL": "engine@desk"}
_BESIDE = ("allowed_signers", "revoked_keys")
_OURS = "refs/heads/witness"
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class HistoryDiffers(RecordError):
    """The remote keeps another history than this folder: one of the two was rolled back or written anew."""

    exit_code = 8


@dataclass(frozen=True)
class GitWitness:
    """The remote `url` of a desk, and the folder of records that is pushed to it: push*, head."""

    runs: Path
    url: str
    desk: str

    @property
    def branch(self) -> str:
        """Return the desk's branch at the remote."""
        return f"refs/heads/{desk_name(self.desk)}"

    def push(self) -> Head:
        """Commit what there is, push it, and return the ledger's head that the remote has now.

        Raises HistoryDiffers when the remote is not behind us, RecordError when it can't be reached or refuses.
        """
        repository = self.runs / FOLDER
        if not (repository / "HEAD").exists():
            self._git("init", "--quiet", "--bare", str(repository), at=None)
        theirs = self._fetch(repository)
        ours, signature = self._ledger()
        if theirs is not None and not ours.startswith(theirs):
            raise self._differs()
        if theirs is not None:
            self._git("update-ref", _OURS, "FETCH_HEAD", at=repository)
        head = self._commit(repository, ours, signature)
        self._send(repository)
        return head

    def head(self) -> Head:
        """Return the ledger's head that the remote has. Raises RecordError when nobody can say."""
        with tempfile.TemporaryDirectory() as folder:
            repository = Path(folder) / "look.git"
            self._git("init", "--quiet", "--bare", str(repository), at=None)
            ledger = self._fetch(repository)
        if ledger is None:
            raise RecordError(
                f"The git witness has no branch {self.branch}.",
                means="no head of this ledger was ever pushed there",
                todo="push it: invoke announce",
            )
        return LedgerText.of(ledger, Path(NAME)).head

    def refuses_rewinding(self) -> bool | None:
        """Return whether the remote refuses to be rewound; None where that can't be looked at from here."""
        parts = urlsplit(self.url)
        if parts.scheme not in ("", "file") or ":" in self.url.split("/")[0].removeprefix("file:"):
            return None
        path = parts.path if parts.scheme == "file" else self.url
        said = self._git("config", "--bool", "receive.denyNonFastForwards", at=Path(path), must=False)
        return said.stdout.strip() == b"true"

    def _ledger(self) -> tuple[bytes, bytes]:
        """Return the ledger and its signature, as one moment shows them."""
        try:
            return read_ledger(self.runs)
        except OSError as error:
            raise RecordError(f"The ledger {self.runs / NAME} can't be read: {error.strerror}.") from error

    def _fetch(self, repository: Path) -> bytes | None:
        """Fetch the desk's branch, and return its ledger; None when the remote has no such branch."""
        listed = self._git("ls-remote", "--quiet", self.url, self.branch, at=repository).stdout
        if not listed.strip():
            return None
        self._git("fetch", "--quiet", "--no-tags", self.url, self.branch, at=repository)
        shown = self._git("show", f"FETCH_HEAD:{NAME}", at=repository, must=False)
        if shown.returncode != 0:
            raise RecordError(
                f"The branch {self.branch} at the git witness holds no ledger.",
                means="it is something else's; nothing was pushed",
                todo="give this desk a remote, or a name, of its own: [tool.aurora] witness, desk",
            )
        return shown.stdout

    def _commit(self, repository: Path, raw: bytes, signature: bytes) -> Head:
        """Commit ledger and evidence onto what was pushed before, unless nothing is new; return the ledger's head."""
        text = LedgerText.of(raw, self.runs / NAME)
        names = [name for name in _BESIDE if self._is_plain(name)]
        for run in text.sealed:
            if _PLAIN.fullmatch(run):
                names += [name for name in (f"{run}/{FILE}", f"{run}/{SIGNATURE}") if self._is_plain(name)]
        blobs = {NAME: self._blob(repository, raw), f"{NAME}.sig": self._blob(repository, signature)}
        # As bytes, whatever attributes and filters a person has set up.
        told = self._git("hash-object", "-w", "--no-filters", "--stdin-paths", at=repository, tree=True,
                         data="".join(f"{name}\n" for name in names).encode())  # fmt: skip
        blobs |= dict(zip(names, told.stdout.decode().split(), strict=True))
        (repository / "index").unlink(missing_ok=True)  # made anew: what a killed process left in it was not meant
        listed = "".join(f"100644 {blob}\t{name}\0" for name, blob in sorted(blobs.items()))
        self._git("update-index", "-z", "--index-info", at=repository, data=listed.encode())
        tree = self._git("write-tree", at=repository).stdout.decode().strip()
        before = self._git("rev-parse", "--verify", "--quiet", f"{_OURS}^{{tree}}", at=repository, must=False)
        if before.stdout.decode().strip() != tree:
            parents = ["-p", _OURS] if before.returncode == 0 else []
            message = f"ledger {text.head.seq}:{text.head.sha256}"
            made = self._git("commit-tree", tree, *parents, "-m", message, at=repository).stdout.decode().strip()
            self._git("update-ref", _OURS, made, at=repository)
        return text.head

    def _blob(self, repository: Path, raw: bytes) -> str:
        made = self._git("hash-object", "-w", "--no-filters", "--stdin", at=repository, data=raw)
        return made.stdout.decode().strip()

    def _is_plain(self, name: str) -> bool:
        path = self.runs / name
        return path.is_file() and not path.is_symlink()

    def _send(self, repository: Path) -> None:
        sent = self._git("push", "--quiet", "--porcelain", self.url, f"{_OURS}:{self.branch}",
                         at=repository, must=False)  # fmt: skip
        if sent.returncode == 0:
            return
        if b"non-fast-forward" in sent.stdout + sent.stderr or b"fetch first" in sent.stdout + sent.stderr:
            raise self._differs()
        raise _unreached(self.url, sent)

    def _differs(self) -> HistoryDiffers:
        return HistoryDiffers(
            f"The git witness has another history of this ledger (branch {self.branch}).",
            means="the ledger here was rolled back or written anew, or another desk pushes to the same branch; "
            "nothing was pushed",
            todo="keep both as they are, and compare: invoke verify --witness-git",
        )

    def _git(
        self, *words: str, at: Path | None, tree: bool = False, data: bytes | None = None, must: bool = True
    ) -> subprocess.CompletedProcess[bytes]:
        where = [] if at is None else [f"--git-dir={at}", *([f"--work-tree={self.runs}"] if tree else [])]
        try:
            done = subprocess.run(
                ["git", "-c", "core.hooksPath=/dev/null", "-c", "core.autocrlf=false", *where, *words],
                cwd=self.runs,
                input=data,
                stdin=subprocess.DEVNULL if data is None else None,
                capture_output=True,
                env=_environment(),
                start_new_session=True,
                timeout=PATIENCE_S,
                check=False,
            )
        except FileNotFoundError as error:
            raise RecordError("git is not installed.", means="nothing was pushed", todo="install git") from error
        except subprocess.TimeoutExpired as error:
            raise RecordError(
                f"The git witness gave no answer within {PATIENCE_S:g} s.",
                means="nothing was pushed; it stays in the outbox",
                todo="see whether it answers: git ls-remote, with the address of [tool.aurora] witness",
            ) from error
        if must and done.returncode != 0:
            raise _unreached(self.url, done)
        return done


def _environment() -> Mapping[str, str]:
    """Return an environment in which git asks nobody anything, and takes no repository but ours for ours."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    people = {f"GIT_{who}_{part}": value for who in ("AUTHOR", "COMMITTER") for part, value in _AUTHOR.items()}
    ssh = os.environ.get("GIT_SSH_COMMAND", "ssh")
    return {
        **kept,
        **people,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_SSH_COMMAND": f"{ssh} -oBatchMode=yes -oConnectTimeout=10",
        "SSH_ASKPASS_REQUIRE": "never",
        "GIT_ASKPASS": "/bin/false",
        "LC_ALL": "C",
    }


def _unreached(url: str, done: subprocess.CompletedProcess[bytes]) -> RecordError:
    lines: Sequence[str] = (done.stderr or done.stdout).decode("utf-8", "replace").strip().splitlines()
    said = next((line for line in reversed(lines) if line.startswith(("fatal:", "error:", "!"))), (*lines, "")[-1])
    shown = said.replace(url, "(the witness)")[:300].rstrip(".")
    return RecordError(
        f"The git witness was not reached: {shown or f'git exit {done.returncode}'}.",
        means="nothing was pushed; it is tried again when the next run ends",
        todo="see whether it answers: git ls-remote, with the address of [tool.aurora] witness",
    )
