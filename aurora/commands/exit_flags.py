"""The flags of the commands that stop things, and of those that say how things stand."""

from __future__ import annotations

from aurora.commands.exact import ExactParser, whole_number

ACCOUNT = "live_canary"


def _account(parser: ExactParser) -> ExactParser:
    parser.add_argument("--profile", default=ACCOUNT, metavar="NAME", help=f"whose account (default {ACCOUNT})")
    return parser


def status(parser: ExactParser) -> ExactParser:
    """Add what `status` takes."""
    parser.add_argument("--profile", default=None, metavar="NAME", help="ask the venue of this profile, too")
    return parser


def kill(parser: ExactParser) -> ExactParser:
    """Add what `kill` takes."""
    parser.add_argument("--clear", action="store_true", help="take the flag away; only a person at a terminal may")
    parser.add_argument("--reason", default="", metavar="TEXT", help="why; it is recorded")
    return parser


def emergency(parser: ExactParser) -> ExactParser:
    """Add what `emergency` takes."""
    parser.add_argument("--why", default="", metavar="TEXT", help="the reason: it goes into flag, lockout and alert")
    parser.add_argument("--minutes", type=whole_number, default=10, metavar="N", help="try to flatten for N (10)")
    return _account(parser)


def flatten(parser: ExactParser) -> ExactParser:
    """Add what `flatten` takes."""
    parser.add_argument("--dry-run", action="store_true", help="say what would be cancelled and sent; nothing is")
    parser.add_argument("--symbols", metavar="A,B", help="these alone (the whole account unless named)")
    parser.add_argument("--minutes", type=whole_number, default=None, metavar="N", help="give up after N (never)")
    parser.add_argument("--market", action="store_true", help="market orders, at any price; only a person may")
    return _account(parser)


def reconcile(parser: ExactParser) -> ExactParser:
    """Add what `reconcile` takes."""
    parser.add_argument("--dry-run", action="store_true", help="only compare: record nothing, lock nothing out")
    return _account(parser)


def unlock(parser: ExactParser) -> ExactParser:
    """Add what `unlock` takes."""
    parser.add_argument("--root-cause", required=True, metavar="TEXT", help="what was wrong; it is recorded")
    parser.add_argument("--issue", type=whole_number, default=None, metavar="N", help="the issue that tells more")
    return parser
