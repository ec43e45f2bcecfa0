"""The git witness: a branch of a git remote that keeps the ledger, and that nobody can rewind unseen.

    fetch → is what it has a beginning of ours? → commit on top of it → push, never forced

A repository of its own lies in `runs/.witness/`; the project's own repository and index are never touched. Kept are the
ledger and its signature, `allowed_signers`, `revoked_keys`, and of each sealed run evidence.json with its signature.
Journals, reports, inputs and artifacts are not: they may hold positions and accounts.
"""

from __future__ import annotations

import hashlib
import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from aurora.errors import AuroraError
from aurora.evidence import statement
from aurora.evidence.ledger import NAME, Head, LedgerText, read_ledger

FOLDER = ".witness"
PATIENCE_S = 60.0
"""How long one talk with the remote may take."""

_KEPT = (NAME, f"{NAME}.sig", "allowed_signers", "revoked_keys")
_NOBODY = {"NAME": "aurora", "EMAIL": "engine@desk"}


class WitnessUnreachable(AuroraError):
    """The remote could not be asked, or did not take what was pushed: it is tried again."""

    exit_code = 2


class WitnessDisagrees(AuroraError):
    """The remote and the ledger have different histories: one of them was rolled back, rewritten or forked."""

    exit_code = 8


def branch_of(desk: str) -> str:
    """Return the branch on which a desk's ledger is kept."""
    return f"refs/heads/aurora/{desk}"


def push_ledger(runs: Path, remote: str, desk: str, key: Path | None) -> tuple[Head, str]:
    """Push the ledger to `remote`, on top of what is there. Return its head, and a note on what could be stronger.

    key: the engine's SSH key, which signs the commit where git can. Raises WitnessUnreachable, WitnessDisagrees.
    """
    git = _Git(runs / FOLDER)
    git.prepare()
    raw, signature = read_ledger(runs)
    ledger = LedgerText.of(raw, runs / NAME)
    theirs = git.fetch(remote, branch_of(desk))
    seen = _seen(remote, desk)
    _compare(git, seen, theirs, raw, desk)
    notes = [_guard_of(remote)]
    tree = _tree(git, runs, ledger, theirs, {NAME: raw, f"{NAME}.sig": signature})
    commit = theirs
    if theirs is None or git.words("rev-parse", f"{theirs}^{{tree}}") != tree:
        commit, is_signed = git.commit(tree, theirs, f"aurora {desk} {ledger.head.seq} {ledger.head.sha256}", key)
        notes += [] if is_signed else ["the commit is not signed: git could not sign with the engine's key"]
        git.talk("push", "--porcelain", "--no-verify", remote, f"{commit}:{branch_of(desk)}")
    git.words("update-ref", seen, commit or "")
    return ledger.head, "; ".join(filter(None, notes))


def witnessed_by(remote: str, desk: str) -> list[Head]:
    """Return the head that a remote has of a desk's ledger, and each that a later commit took from it again.

    No rule against rewinding stops a commit on top that cuts or rewrites the ledger; what it had stays in its history.
    Raises WitnessUnreachable.
    """
    with tempfile.TemporaryDirectory(prefix="aurora-witness-") as folder:
        git = _Git(Path(folder) / "git")
        git.prepare()
        theirs = git.fetch(remote, branch_of(desk))
        ledgers = [] if theirs is None else [git.blob(each, NAME) for each in [theirs, *git.cut(theirs, NAME)]]
    heads = [
        Head(len(lines), hashlib.sha256(lines[-1]).hexdigest())
        for lines in (raw.splitlines(keepends=True) for raw in ledgers)
        if lines
    ]
    if not heads:
        raise WitnessUnreachable(
            f"{_shown(remote)} holds no ledger of the desk {desk}.",
            means="nothing was verified against it",
            todo=f"see whether its branch {branch_of(desk).removeprefix('refs/heads/')} is gone, and who took it away",
        )
    return heads


def _seen(remote: str, desk: str) -> str:
    """Return the name under which we remember what this remote was given last; another one is another witness."""
    return f"refs/aurora/seen/{hashlib.sha256(f'{remote} {desk}'.encode()).hexdigest()[:16]}"


def _compare(git: _Git, memory: str, theirs: str | None, ours: bytes, desk: str) -> None:
    """Raise WitnessDisagrees unless the remote has a beginning of our ledger, and all that it was ever given."""
    seen = git.words("rev-parse", "--verify", "--quiet", memory, may_fail=True)
    if seen and (theirs is None or git.run("merge-base", "--is-ancestor", seen, theirs).returncode != 0):
        raise _disagrees(
            f"The git witness has lost what it was given: {seen[:12]} is not on its branch of {desk} any more"
        )
    if theirs is None:
        return
    kept = git.blob(theirs, NAME)
    if seen and not kept.startswith(git.blob(seen, NAME)):  # by a commit on top, which no rule against rewinding stops
        raise _disagrees(f"The git witness has lost what it was given: its ledger of {desk} was changed or cut")
    if not kept or ours.startswith(kept):
        return
    if kept.startswith(ours):
        count = len(kept.splitlines()) - len(ours.splitlines())
        raise _disagrees(f"The git witness has {count} lines more than the ledger here, which was rolled back")
    raise _disagrees("The git witness has another history than the ledger here: one was rewritten, or they forked")


def _disagrees(what: str) -> WitnessDisagrees:
    return WitnessDisagrees(
        f"{what}.",
        means="nothing was pushed; one of both was changed by somebody with the key, or is another desk's",
        todo="keep both as they are, and look: invoke verify --witness-git",
    )


def _tree(git: _Git, runs: Path, ledger: LedgerText, theirs: str | None, read: Mapping[str, bytes]) -> str:
    """Return the tree to commit: what the remote has, the ledger of now, and the evidence that it has not yet."""
    git.words("read-tree", "--empty") if theirs is None else git.words("read-tree", theirs)
    there = set(git.words("ls-files").splitlines())
    paths = [name for name in _KEPT if (runs / name).is_file()]
    for run, seal in ledger.sealed.items():
        names = [f"{run}/{statement.FILE}", f"{run}/{statement.SIGNATURE}"]
        evidence = runs / names[0]
        if names[1] in there and run not in ledger.broken:
            continue
        if not _is_plain(run) or not all((runs / name).is_file() for name in names):
            continue
        if hashlib.sha256(evidence.read_bytes()).hexdigest() == seal.data.get("evidence"):
            paths += names
    lines = []
    for name in paths:
        data = read[name] if name in read else (runs / name).read_bytes()
        blob = git.words("hash-object", "-w", "--stdin", data=data)
        lines.append(f"100644 {blob}\t{name}\n")
    git.words("update-index", "--index-info", data="".join(lines).encode())
    return git.words("write-tree")


def _is_plain(run: str) -> bool:
    return re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", run) is not None


def _guard_of(remote: str) -> str:
    """Return a note on whether the remote refuses to be rewound; nothing when it is seen to."""
    path = Path(remote.removeprefix("file://"))
    if not remote.startswith(("file://", "/", "./", "../")) or not path.is_dir():
        return "whether the remote refuses rewinding can't be seen from here: protect its branch from forced pushes"
    git = _Git(path)
    for name in ("receive.denyNonFastForwards", "receive.denyDeletes"):
        if git.words("config", "--type=bool", "--get", name, may_fail=True) != "true":
            return f"the remote can be rewound: git -C {path} config {name} true"
    return ""


def _shown(remote: str) -> str:
    """Return a remote as it may be printed: without what may be a password."""
    parts = urlsplit(remote) if "://" in remote else None
    return (
        remote if parts is None or "@" not in parts.netloc else remote.replace(parts.netloc.rsplit("@", 1)[0], "…", 1)
    )


class _Git:
    """git with a folder of its own, which asks nobody anything and leaves nothing running."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def prepare(self) -> None:
        """Make the repository unless it is there."""
        if not (self._folder / "HEAD").is_file():
            self.words("init", "--quiet", "--bare", str(self._folder))

    def fetch(self, remote: str, branch: str) -> str | None:
        """Return the commit that `branch` of `remote` is at, once it is here; None when there is no such branch."""
        listed = self.talk("ls-remote", remote, branch).split()
        if not listed:
            return None
        self.talk("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", remote, f"+{branch}:refs/aurora/theirs")
        return self.words("rev-parse", "--verify", "refs/aurora/theirs")

    def blob(self, commit: str, name: str) -> bytes:
        """Return a file of a commit; nothing when it has none of that name."""
        done = self.run("cat-file", "blob", f"{commit}:{name}")
        return done.stdout if done.returncode == 0 else b""

    def cut(self, commit: str, name: str) -> list[str]:
        """Return the commits whose file `name` lost a line in a child of theirs, in the history of `commit`."""
        form = ["--format=%P", "--numstat", "--text", "--no-renames", "--no-ext-diff", "--no-textconv"]
        found, parents = [], list[str]()
        for line in self.words("log", "--full-history", "-m", *form, commit, "--", name).splitlines():
            if "\t" not in line:
                parents = line.split() or parents
            elif line.split("\t")[1] != "0":
                found += parents
        return list(dict.fromkeys(found))

    def commit(self, tree: str, parent: str | None, message: str, key: Path | None) -> tuple[str, bool]:
        """Commit a tree; return the commit, and whether it is signed."""
        words = ["commit-tree", tree, "-m", message, *([] if parent is None else ["-p", parent])]
        if key is not None and key.is_file():
            made = self.run("-c", "gpg.format=ssh", "-c", f"user.signingkey={key}", *words, "-S")
            if made.returncode == 0:
                return made.stdout.decode().strip(), True
        return self.words(*words), False

    def talk(self, *words: str) -> str:
        """Return what git says after it has talked with the remote. Raises WitnessUnreachable."""
        remote = next(word for word in words[1:] if not word.startswith("-"))
        done = self.run(*words)
        if done.returncode != 0:
            said = (done.stderr + done.stdout).decode("utf-8", "replace").replace(remote, _shown(remote))
            lines = [line.strip() for line in said.splitlines() if line.strip() and not line.startswith("To ")]
            raise _unreachable(remote, "; ".join(lines)[:300].rstrip(".") or f"git ended with {done.returncode}")
        return done.stdout.decode("utf-8", "replace")

    def words(self, *words: str, data: bytes = b"", may_fail: bool = False) -> str:
        """Return what git says. Raises WitnessUnreachable when it fails and may not."""
        done = self.run(*words, data=data)
        if done.returncode != 0 and not may_fail:
            said = done.stderr.decode("utf-8", "replace").strip()[:300]
            raise WitnessUnreachable(
                f"git {words[0]} failed in {self._folder}: {said}.", todo="see what git says there"
            )
        return done.stdout.decode("utf-8", "replace").strip() if done.returncode == 0 else ""

    def run(self, *words: str, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """Run git in a session of its own, with its whole group ended at the end of our patience."""
        command = ["git", "-c", "core.hooksPath=/dev/null", "-c", "gc.autoDetach=false", *words]
        pipe = subprocess.PIPE
        try:
            process = subprocess.Popen(
                command, stdin=pipe, stdout=pipe, stderr=pipe, env=self._environment(), start_new_session=True
            )
        except FileNotFoundError as error:
            raise WitnessUnreachable("git is not installed.", means="nothing was pushed", todo="install git") from error
        with process:
            try:
                out, err = process.communicate(data, PATIENCE_S)
            except subprocess.TimeoutExpired as error:
                raise _unreachable("", f"git {words[0]} gave no answer within {PATIENCE_S:g} s") from error
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)  # ssh, credential helpers: nothing goes on asking
        return subprocess.CompletedProcess(command, process.returncode, out, err)

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        ssh = os.environ.get("GIT_SSH_COMMAND", "ssh")
        people = {f"GIT_{role}_{part}": text for role in ("AUTHOR", "COMMITTER") for part, text in _NOBODY.items()}
        return {
            **kept,
            **people,
            "GIT_DIR": str(self._folder),
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ASKPASS": "true",
            "SSH_ASKPASS": "true",
            "SSH_ASKPASS_REQUIRE": "never",
            "GIT_SSH_COMMAND": f"{ssh} -oBatchMode=yes -oStrictHostKeyChecking=yes -oConnectTimeout=15",
            "LC_ALL": "C",
        }


def _unreachable(remote: str, why: str) -> WitnessUnreachable:
    shown = f" {_shown(remote)}" if remote else ""
    return WitnessUnreachable(
        f"The git witness{shown} can't be reached or did not take the ledger: {why}.",
        means="the head has not left this machine that way",
        todo="try by hand: git ls-remote URL   then: invoke announce",
    )
