"""The command line, parsed by Aurora itself: exact flags, did-you-mean, and nothing run on a doubt (engine rule 28)."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from aurora.commands import exit_flags
from aurora.commands.exact import ExactParser, plain_number, whole_number
from aurora.commands.flags import read_flags
from aurora.engine.faults import Fault, RunbookError, did_you_mean, listed, visible
from aurora.engine.graph import Library
from aurora.engine.project import Project
from aurora.errors import UsageError

SHORT = {
    "runbook": "run a runbook: runbook NAME [flags]",
    "runs": "list the runs, newest first",
    "show": "show what a run did: show RUN",
    "resume": "go on with an interrupted run: resume RUN",
    "answer": "answer here what a run asks at another terminal: answer RUN",
    "cancel": "end an unfinished run: cancel RUN --reason TEXT",
    "status": "one screen: kill flag, lockout, sessions, runs, alerts, the day's orders; the venue: --profile",
    "kill": "set the kill flag: kill [--reason TEXT]; take it away: kill --clear --reason TEXT",
    "emergency": "stop, flatten, lock out, tell; by the runbook, or without it when it can't run: emergency --why TEXT",
    "flatten": "bring the account to zero: flatten [--dry-run] [--symbols A,B] [--market]",
    "reconcile": "compare the day's orders with the venue: reconcile [--dry-run]",
    "unlock": "lift the lockout of live mode: unlock --root-cause TEXT [--issue N]",
    "report": "render a run's report again from its journal: report RUN [--open]",
    "verify": "check records and their signatures: verify [RUN …] [--witness SEQ:SHA256]",
    "review": "counter-sign a sealed run with your own key: review RUN [--note TEXT]",
    "announce": "send the heads of the ledger that are not sent yet; say which are left",
    "export": "write a run's evidence in another envelope, signed by the same key: export RUN --dsse",
    "keys": "the keys that sign records: keys init|list|add PRINCIPAL FILE.pub",
    "lint": "check runbooks and profiles: lint [FILE …]",
    "explain": "show a runbook's steps and gates as a tree: explain NAME",
    "schema": "print the JSON Schema of runbooks, or of a session's record: schema [runbook|session]",
    "new": "write a new runbook or step that lints and runs: new runbook|step NAME",
    "completion": "print what makes TAB complete: completion bash|zsh|fish",
    "session": "run one session by hand: paper, shadow, or live on the simulated venue",
    "rollup": "add up recorded sessions: rollup paper|canary|live [--days N] [--format table|md|json]",
    "drift": "hold the model's features against its reference: drift [look|fit]",
    "gateway": "run a simulated IB Gateway on this machine",
    "cron": "run by schedule: cron --print|--install|--remove",
    "doctor": "look at the set-up: versions, permissions, disk, runbooks, unfinished runs",
}


@dataclass(frozen=True)
class Invocation:
    """A command line that is right: the command, its options, and for `runbook` its name and parameters."""

    command: str
    options: argparse.Namespace
    params: dict[str, Any]


def parse(project: Callable[[], Project], words: Sequence[str], program: str = "aurora") -> Invocation:
    """Parse the words after the program's name.

    Raises UsageError for whatever is not exactly right; SystemExit(0) after printing help.
    """
    if not words or words[0] in ("-h", "--help"):
        sys.stdout.write(overview(program) + "\n")
        raise SystemExit(0)
    command = words[0]
    if command not in SHORT:
        hint = did_you_mean(command, SHORT)
        raise UsageError(
            f"There is no command {command!r}{'; ' + hint if hint else '.'}",
            means="nothing was run",
            todo=f"the commands are: {', '.join(SHORT)}",
        )
    if command == "runbook":
        return _runbook(project, words[1:], program)
    return Invocation(command, command_parser(command, program).read(words[1:]), {})


def command_parser(command: str, program: str) -> ExactParser:
    """Return the parser of a command other than `runbook`. Raises KeyError when there is none."""
    return _PARSERS[command](f"{program} {command}")


def overview(program: str) -> str:
    """Return the list of commands."""
    width = max(map(len, SHORT))
    lines = [f"  {name:<{width}}  {text}" for name, text in SHORT.items()]
    return "\n".join([f"usage: {program} COMMAND …", "", *lines, "", f"More on one: {program} COMMAND --help"])


def _runbook(project: Callable[[], Project], words: Sequence[str], program: str) -> Invocation:
    if not words or words[0] in ("-h", "--help"):
        sys.stdout.write(_books(project(), program) + "\n")
        raise SystemExit(0)
    name = words[0]
    if name.startswith("-"):
        raise UsageError(
            f"The runbook's name comes first, before {name!r}.",
            means="nothing was run",
            todo=f"{program} runbook NAME [flags]; the names: {listed(project().names()) or '(none yet)'}",
        )
    loaded = Library(project()).load(name)
    if loaded.runbook is None:
        raise RunbookError(_all_faults(project(), name))
    options, params = read_flags(loaded.runbook, words[1:], f"{program} runbook {name}")
    options.name = name
    return Invocation("runbook", options, params)


def _all_faults(project: Project, name: str) -> list[Fault]:
    from aurora.engine.functions import FunctionTable  # noqa: PLC0415 - a sound runbook is linted later, once
    from aurora.engine.lint import lint_names  # noqa: PLC0415 - the same

    return lint_names(project, [name], FunctionTable(project.root))


def _books(project: Project, program: str) -> str:
    library = Library(project)
    lines = []
    for name in project.names():
        runbook = library.load(name).runbook
        lines.append((name, "(has faults; see lint)" if runbook is None else visible(runbook.title)))
    width = max((len(name) for name, _ in lines), default=0)
    shown = [f"  {name:<{width}}  {title}" for name, title in lines] or ["  (none yet)"]
    return "\n".join(
        [
            f"usage: {program} runbook NAME [flags]",
            "",
            "runbooks:",
            *shown,
            "",
            f"Flags of one: {program} runbook NAME --help",
        ]
    )


def _plain(program: str) -> ExactParser:
    return ExactParser(prog=program, description=SHORT[program.split()[-1]])


def _runs(program: str) -> ExactParser:
    parser = _plain(program)
    parser.add_argument("--limit", type=whole_number, default=20, metavar="N", help="how many (default 20)")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    return parser


def _one_run(program: str) -> ExactParser:
    parser = _plain(program)
    parser.add_argument("run", metavar="RUN", help="a run's id, the end of one, or 'last'")
    return parser


def _show(program: str) -> ExactParser:
    parser = _one_run(program)
    parser.add_argument("--json", action="store_true", help="the run's events as JSON lines")
    return parser


def _resume(program: str) -> ExactParser:
    parser = _one_run(program)
    parser.add_argument(
        "--accept-changes", action="store_true", help="go on although runbooks, profile or steps have changed"
    )
    parser.add_argument(
        "--settle",
        action="append",
        default=[],
        metavar="STEP=done|not_done",
        help="say what became of a step whose outcome is unknown",
    )
    parser.add_argument(
        "--waive",
        action="append",
        default=[],
        metavar="STEP",
        help="go on past a step that failed; the run is amber at best (not for what policy demands)",
    )
    parser.add_argument("--reason", default="", metavar="TEXT", help="why it is waived; it is recorded")
    parser.add_argument("--json", action="store_true", help="print events as JSON lines, for programs")
    return parser


def _cancel(program: str) -> ExactParser:
    parser = _one_run(program)
    parser.add_argument("--reason", required=True, metavar="TEXT", help="why; it is recorded")
    parser.add_argument(
        "--accept-changes", action="store_true", help="end it although runbooks, profile or steps have changed"
    )
    parser.add_argument("--json", action="store_true", help="print events as JSON lines, for programs")
    return parser


def _verify(program: str) -> ExactParser:
    parser = _plain(program)
    parser.add_argument("runs", nargs="*", metavar="RUN", help="runs to look at closely (all, unless named)")
    parser.add_argument(
        "--witness",
        action="append",
        default=[],
        metavar="SEQ:SHA256[@RECEIVED]",
        help="a head of the ledger that was announced outside this machine; may be given again",
    )
    parser.add_argument(
        "--witness-file",
        action="append",
        default=[],
        metavar="FILE",
        help="saved announcements: every head of this desk in them, with the time of receipt where it is told",
    )
    parser.add_argument("--witness-git", action="store_true", help="the head that the project's git witness has")
    parser.add_argument("--remote", metavar="URL", help="the head that this git remote has")
    parser.add_argument("--signers", metavar="FILE", help="an auditor's own copy of allowed_signers")
    parser.add_argument(
        "--each-signature", action="store_true", help="let ssh-keygen check each run's signature, not only the ledger's"
    )
    parser.add_argument("--json", action="store_true", help="one JSON document, for programs")
    return parser


def _report(program: str) -> ExactParser:
    parser = _one_run(program)
    parser.add_argument("--open", action="store_true", help="show report.html in a browser")
    return parser


def _announce(program: str) -> ExactParser:
    parser = _plain(program)
    parser.add_argument("--list", action="store_true", help="only say what is not sent yet")
    return parser


def _export(program: str) -> ExactParser:
    parser = _one_run(program)
    parser.add_argument(
        "--dsse", action="store_true", required=True, help="as evidence.dsse.json, beside evidence.json"
    )
    return parser


def _keys(program: str) -> ExactParser:
    parser = _plain(program)
    actions = ("init", "list", "add")
    words = "make the engine's key; list all; let a person's key sign"
    parser.add_argument("action", choices=actions, metavar="init|list|add", help=words)
    parser.add_argument("principal", nargs="?", metavar="PRINCIPAL", help="add: the person's name, such as alice@desk")
    parser.add_argument("file", nargs="?", metavar="FILE", help="add: her public key, a .pub")
    parser.add_argument(
        "--roles", default=None, metavar="A,B", help="add: what she may sign: confirm, review (both, unless named)"
    )
    parser.add_argument("--until", default=None, metavar="DATE", help="add: the key's last day, such as 2027-12-31")
    parser.add_argument("--json", action="store_true", help="one JSON document, for programs")
    return parser


def _review(program: str) -> ExactParser:
    parser = _one_run(program)
    parser.add_argument("--note", default="", metavar="TEXT", help="what you found; it is entered in the ledger")
    return parser


def _lint(program: str) -> ExactParser:
    parser = _plain(program)
    parser.add_argument("files", nargs="*", metavar="FILE", help="runbook files (all of the project unless named)")
    return parser


def _explain(program: str) -> ExactParser:
    parser = _plain(program)
    parser.add_argument("name", metavar="RUNBOOK", help="its name")
    parser.add_argument("--format", choices=("tree", "mermaid"), default="tree", help="tree (default) or mermaid")
    return parser


def _schema(program: str) -> ExactParser:
    parser = _plain(program)
    kinds = ("runbook", "session")
    parser.add_argument(
        "kind", nargs="?", metavar="|".join(kinds), choices=kinds, default="runbook", help="of what (default runbook)"
    )
    return parser


def _new(program: str) -> ExactParser:
    parser = _plain(program)
    parser.add_argument("kind", metavar="runbook|step", choices=("runbook", "step"), help="what to write")
    parser.add_argument("name", metavar="NAME", help="the runbook's name, or MODULE.FUNCTION of a step")
    return parser


def _completion(program: str) -> ExactParser:
    parser = _plain(program)
    shells = ("bash", "zsh", "fish")
    parser.add_argument("shell", metavar="|".join(shells), choices=shells, help="the shell that is to complete")
    return parser


def _session(program: str) -> ExactParser:
    parser = _plain(program)
    parser.add_argument("--symbols", default="SPY,TSLA", metavar="A,B", help="what is traded (default SPY,TSLA)")
    parser.add_argument("--poll-sec", type=plain_number, metavar="X", help="seconds between looks (the profile's)")
    parser.add_argument("--profile", default="base", metavar="NAME", help="how much (default base: paper, simulated)")
    parser.add_argument("--quotes", default="dummy", metavar="TEXT", help="dummy, replay:PATH or ibkr (default dummy)")
    parser.add_argument("--shadow", action="store_true", help="send nothing, whatever the profile's mode is")
    parser.add_argument("--steps", type=whole_number, metavar="N", help="looks after the warm-up")
    parser.add_argument(
        "--minutes", type=plain_number, metavar="M", help="how long; without steps and minutes: until before the close"
    )
    parser.add_argument("--json", action="store_true", help="print the summary as one JSON document, for programs")
    return parser


def _rollup(program: str) -> ExactParser:
    parser = _plain(program)
    modes = ("paper", "canary", "live")
    parser.add_argument("mode", choices=modes, metavar="|".join(modes), help="of which sessions (canary: in shadow)")
    parser.add_argument("--days", type=whole_number, default=7, metavar="N", help="how many days back (default 7)")
    parser.add_argument("--format", choices=("table", "md", "json"), default="table", help="how (default table)")
    parser.add_argument("--profile", metavar="NAME", help="whose SLOs (default: the newest session's)")
    return parser


def _drift(program: str) -> ExactParser:
    parser = _plain(program)
    parser.add_argument("act", nargs="?", choices=("look", "fit"), default="look", help="look (default), or fit anew")
    parser.add_argument("--symbols", metavar="A,B", help="look: what is to be traded (default: what the reference has)")
    parser.add_argument("--profile", default="live_canary", metavar="NAME", help="whose model (default live_canary)")
    parser.add_argument("--days", type=whole_number, metavar="N", help="fit: of how many days (the profile's)")
    parser.add_argument("--json", action="store_true", help="print one JSON document, for programs")
    return parser


def _gateway(program: str) -> ExactParser:
    parser = _plain(program)
    parser.add_argument("--port", type=whole_number, default=7497, metavar="N", help="where it listens (default 7497)")
    parser.add_argument("--scenario", metavar="FILE", help="what goes wrong when (nothing unless named)")
    parser.add_argument("--quotes", default="dummy", metavar="TEXT", help="dummy or replay:PATH (default dummy)")
    parser.add_argument("--symbols", default="SPY,TSLA", metavar="A,B", help="what is listed (default SPY,TSLA)")
    parser.add_argument("--speed", type=whole_number, default=1, metavar="N", help="venue seconds a second (default 1)")
    return parser


def _cron(program: str) -> ExactParser:
    parser = _plain(program)
    parser.add_argument("names", nargs="*", metavar="RUNBOOK", help="with --tick: only these")
    parser.add_argument("--print", action="store_true", help="show what is due when, and the line for the crontab")
    parser.add_argument("--systemd", action="store_true", help="with --print: units for systemd instead of the line")
    parser.add_argument("--install", action="store_true", help="put the line into your crontab")
    parser.add_argument("--remove", action="store_true", help="take it out again")
    parser.add_argument("--tick", action="store_true", help="run what is due now; cron does this once a minute")
    return parser


_PARSERS: dict[str, Callable[[str], ExactParser]] = {
    "runs": _runs,
    "show": _show,
    "resume": _resume,
    "answer": _one_run,
    "cancel": _cancel,
    "status": lambda program: exit_flags.status(_plain(program)),
    "kill": lambda program: exit_flags.kill(_plain(program)),
    "emergency": lambda program: exit_flags.emergency(_plain(program)),
    "flatten": lambda program: exit_flags.flatten(_plain(program)),
    "reconcile": lambda program: exit_flags.reconcile(_plain(program)),
    "unlock": lambda program: exit_flags.unlock(_plain(program)),
    "report": _report,
    "verify": _verify,
    "review": _review,
    "announce": _announce,
    "export": _export,
    "keys": _keys,
    "lint": _lint,
    "explain": _explain,
    "schema": _schema,
    "new": _new,
    "completion": _completion,
    "session": _session,
    "drift": _drift,
    "rollup": _rollup,
    "gateway": _gateway,
    "cron": _cron,
    "doctor": _plain,
}
