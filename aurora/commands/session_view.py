"""Shows a session while it runs, in a process of its own: `python -m aurora.commands.session_view RECORDING PROJECT`.

It reads the session's record as it grows; its standard input is a pipe whose other end the session's process holds, so
that the view ends with it. Whatever becomes of the terminal (closed, stopped by Ctrl-S, twenty columns wide) or of this
process, the session does not hear of it.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Protocol, TextIO, cast

from aurora.commands.session_summary import KILL_HINT, headline
from aurora.engine.console import Output, one_line
from aurora.session.sight import Sight, Watcher

DRAW_S = 0.2
LINE_S = 10.0
END_S = 3.0


class View(Protocol):
    """A way to show a session."""

    def show(self, sight: Sight, *, silent_s: float) -> None:
        """Show it as it is now."""

    def close(self) -> None:
        """Give the terminal back."""


def wants_picture(stream: TextIO | None, environment: Mapping[str, str]) -> bool:
    """Return whether `stream` is a terminal that can be drawn on, and nobody asked for plain lines."""
    if environment.get("NO_COLOR") or environment.get("CI") or environment.get("TERM", "") in ("", "dumb"):
        return False
    return stream is not None and stream.isatty()


class PlainView:
    """Lines for a log: what the session is, each anomaly when it comes, and where it is every ten seconds."""

    def __init__(self, out: Output) -> None:
        self._out = out
        self._told_header = False
        self._told_anomalies = 0
        self._next = 0.0

    def show(self, sight: Sight, *, silent_s: float) -> None:
        """Write what is new."""
        if not sight.header:
            return
        if not self._told_header:
            self._told_header = True
            self._line(_opening(sight.header))
        for anomaly in sight.anomalies[self._told_anomalies :]:
            self._line(f"ANOMALY, locked out: {anomaly}")
        self._told_anomalies = len(sight.anomalies)
        if "n" in sight.poll and time.monotonic() >= self._next:
            self._next = time.monotonic() + LINE_S
            self._line(_where(sight))

    def close(self) -> None:
        """Do nothing."""

    def _line(self, text: str) -> None:
        self._out.write(f"session: {one_line(text)}\n")


def _opening(header: Mapping[str, Any]) -> str:
    what = f"{headline(header)} · profile {header['profile']['name']} · quotes {header['quotes']}"
    return f"{what} · {','.join(header['symbols'])} · {KILL_HINT}"


def _where(sight: Sight) -> str:
    p95 = sight.loop_p95_ms() or 0.0
    positions = sight.poll["positions"]
    held = ", ".join(f"{shares} {symbol}" for symbol, shares in (positions or {}).items()) or "nothing"
    if positions is None:
        held = "what nobody knows: the venue did not say"
    return (
        f"poll {sight.poll['n']} at {sight.poll['at'][:19]}Z · {sight.orders} orders, {sight.blocked} blocked, "
        f"{sight.fills} fills · holds {held} · P&L {sight.day.pnl_usd(sight.bids):.2f} USD · "
        f"{sum(sight.held.values())} HOLDs, {len(sight.anomalies)} anomalies · loop p95 {p95:.1f} ms"
    )


class PictureView:
    """The picture of `session_picture` on the terminal's other screen, drawn anew each time: a resize mends itself."""

    def __init__(self, out: Output) -> None:
        from rich.console import Console  # noqa: PLC0415 - plain lines do not pay for rich
        from rich.live import Live  # noqa: PLC0415 - the same

        self._out = out
        self._console = Console(highlight=False, file=cast(TextIO, out))
        self._live = Live(console=self._console, screen=True, auto_refresh=False)
        self._live.start()

    def show(self, sight: Sight, *, silent_s: float) -> None:
        """Draw it."""
        from aurora.commands.session_picture import picture  # noqa: PLC0415 - plain lines do not pay for rich

        self._live.update(picture(sight, rows=self._console.size.height, silent_s=silent_s), refresh=True)

    def close(self) -> None:
        """Go back to the terminal's first screen."""
        self._live.stop()


def watch(watcher: Watcher, view: View, descriptor: int, out: Output) -> None:
    """Show the session until the pipe at `descriptor` ends or nobody can see it any more."""
    grew = time.monotonic()
    ended = False
    while not out.gone:
        if watcher.look():
            grew = time.monotonic()
        view.show(watcher.sight, silent_s=time.monotonic() - grew)
        if ended:
            return
        ready, _, _ = select.select([descriptor], [], [], DRAW_S)
        ended = bool(ready) and not os.read(descriptor, 1)


def main(words: list[str]) -> int:
    """Show the session whose record is `words[0]`, of the project `words[1]`."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)  # the session ends in its own time; this ends with it
    out = Output(sys.stdout)
    view: View = PictureView(out) if wants_picture(sys.stdout, os.environ) else PlainView(out)
    try:
        watch(Watcher(Path(words[0]), Path(words[1])), view, 0, out)
    except (ValueError, KeyError, TypeError, OSError) as error:
        view.close()
        Output(sys.stderr).write(f"session: it can't be shown ({type(error).__name__}: {error}); it goes on\n")
        return 1
    view.close()
    return 0


class Beside:
    """The view's process, from the session's side; only `close` waits for it, three seconds at most."""

    def __init__(self, recording: Path, project: Path) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        program = [sys.executable, "-P", "-m", __name__, str(recording), str(project)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        with contextlib.suppress(OSError, ValueError):  # unseen is no reason not to run
            self._process = subprocess.Popen(program, stdin=subprocess.PIPE, env=environment)

    def close(self) -> None:
        """Let it show the end, and go; end it when it does not."""
        process = self._process
        if process is None:
            return
        with contextlib.suppress(OSError):
            cast("IO[bytes]", process.stdin).close()
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
