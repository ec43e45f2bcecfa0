"""What a person or a program sees of a run while it goes on: a live terminal, plain lines, or JSON lines."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TextIO, cast

from aurora.engine.faults import visible
from aurora.engine.state import FAILED
from aurora.engine.workers import Progress
from aurora.journal import Event

MARKS = {
    "passed": "✔",
    "red": "✘",
    "broken": "✘",
    "timed_out": "✘",
    "declined": "✘",
    "unknown": "?",
    "skipped": "–",
    "omitted": "–",
    "waived": "!",
    "cancelled": "–",
    "waiting": "…",
}
COLOURS = {
    "passed": "green",
    "red": "red",
    "broken": "red",
    "timed_out": "red",
    "declined": "red",
    "unknown": "red",
    "skipped": "dim",
    "omitted": "dim",
    "waived": "yellow",
    "cancelled": "yellow",
    "green": "green",
    "amber": "yellow",
}
LINE = 400
MOST = 1e18
"""What a bar counts to; NaN and infinity are not below it."""


class Output:
    """A text stream that may go away (`| head`, a terminal that was closed): then the run goes on, unseen."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self.gone = stream is None
        self.encoding = getattr(stream, "encoding", None) or "utf-8"

    def write(self, text: str) -> int:
        """Write `text` and flush, or nothing."""
        if not self.gone and self._stream is not None:
            try:
                self._stream.write(text)
                self._stream.flush()
            except UnicodeEncodeError:
                plain = text.encode(self.encoding, "replace").decode(self.encoding)
                self.write(plain)
            except (ValueError, OSError):
                self._leave(self._stream)
        return len(text)

    def _leave(self, stream: TextIO) -> None:
        """Let what is still buffered go nowhere, or Python would complain of it, and exit with 120, at its end."""
        self.gone = True
        with contextlib.suppress(ValueError, OSError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)

    def flush(self) -> None:
        """Do nothing: every write is flushed."""

    def isatty(self) -> bool:
        """Return whether this is a terminal."""
        return not self.gone and self._stream is not None and self._stream.isatty()

    def fileno(self) -> int:
        """Return the stream's descriptor. Raises OSError when it has none."""
        if self._stream is None:
            raise OSError("standard output is closed")
        return self._stream.fileno()


def one_line(text: str, most: int = LINE) -> str:
    """Return `text` on one line, control characters visible, cut at `most` with its length said."""
    cut = visible(text[:most].replace("\n", "⏎"))
    return cut if len(text) <= most else f"{cut}… ({len(text):,} characters)"


class JsonLines:
    """Each event as one JSON object a line, for programs; nothing else is printed to standard output."""

    live = False

    def __init__(self, stream: TextIO | None = None) -> None:
        self._out = Output(stream or sys.stdout)

    def on_past(self, events: Sequence[Event]) -> None:
        """Print nothing: `show --json` prints them."""

    def on_event(self, event: Event) -> None:
        """Print the event."""
        line = {"seq": event.seq, "ts": event.ts, "type": event.type, "data": event.data}
        self._out.write(json.dumps(line, separators=(",", ":")) + "\n")

    def on_progress(self, step: str, progress: Progress) -> None:
        """Print nothing: progress is not on record."""

    def on_log(self, step: str, line: str) -> None:
        """Print nothing: the last lines of a step's log come with its end."""

    def tick(self) -> None:
        """Do nothing."""


class PlainLines:
    """One line an event, for pipes, logs and cron; also the words that the live terminal uses."""

    live = False

    def __init__(self, stream: TextIO | None = None, *, quiet: bool = False) -> None:
        self._out = Output(stream or sys.stdout)
        self._quiet = quiet
        self._titles: dict[str, str] = {}
        self._started: dict[str, float] = {}

    def show(self, text: str) -> None:
        """Print text as it is: a question to the person at the terminal."""
        self._out.write(text)

    def line(self, text: str, style: str = "") -> None:
        """Print one line; whatever is in it, it stays one, and does nothing to a terminal."""
        self._out.write(visible(text) + "\n")

    def on_past(self, events: Sequence[Event]) -> None:
        """Print the head of the run, what has failed so far, and how many steps are over."""
        ends = {event.data["step"]: event for event in events if event.type == "step.finished"}
        for event in events:
            failed = event is ends.get(event.data.get("step")) and event.data["status"] in FAILED
            if event.type in ("run.opened", "journal.recovered") or failed:
                self.on_event(event)
        if events:
            passed = sum(event.data["status"] == "passed" for event in ends.values())
            self.line(f"  so far: {passed} steps passed, {len(ends) - passed} ended otherwise; all of it: invoke show")

    def on_event(self, event: Event) -> None:
        """Print what the event means to a person."""
        handler = getattr(self, "_on_" + event.type.replace(".", "_"), None)
        if handler is not None:
            handler(event.data)

    def on_progress(self, step: str, progress: Progress) -> None:
        """Print nothing: lines in a log file are not progress bars."""

    def on_log(self, step: str, line: str) -> None:
        """Print a step's log line, indented."""
        self.line(f"    {step} | {one_line(line)}", "dim")

    def tick(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """End the display."""

    def _on_run_opened(self, data: Mapping[str, Any]) -> None:
        self._titles = {entry["id"]: entry["title"] for entry in data["plan"]}
        flags = [name for name, on in (("DRY RUN", data["dry_run"]), ("SCRIPTED ANSWERS", data["answers"])) if on]
        self.line(f"{data['runbook']}: {one_line(data['title'])}", "bold")
        marks = f"  [{', '.join(flags)}]" if flags else ""
        self.line(f"  run {data['run']}   {data['mode']} on {data['venue']}   profile {data['profile']['name']}{marks}")
        for each in data["requires"]:
            self.line(f"  requires {each['runbook']}: {each['verdict']} ({each['reason']})", "yellow")

    def _on_run_resumed(self, data: Mapping[str, Any]) -> None:
        self.line(f"  {'cancelling' if data['cancel'] else 'resumed'} by {data['operator']['os_user']}")
        for waiver in data.get("waivers", ()):
            signed = f" (signed by {waiver['signature']['principal']})" if waiver.get("signature") else ""
            self.line(f"  ! {waiver['step']} waived by {waiver['by']}{signed}: {one_line(waiver['reason'])}", "yellow")
        if data.get("repeat"):
            self.line(f"  too old, so repeated: {one_line(', '.join(data['repeat']))}", "yellow")
        for change in data["changes"]:
            self.line(f"  accepted change: {change}", "yellow")

    def _on_journal_recovered(self, data: Mapping[str, Any]) -> None:
        self.line(
            f"  the journal's last line was torn; its {data['bytes']} bytes are kept in {data['saved_as']}", "yellow"
        )

    def _on_step_started(self, data: Mapping[str, Any]) -> None:
        self._started[data["step"]] = time.monotonic()
        again = f" (attempt {data['attempt']})" if data["attempt"] > 1 else ""
        self.line(f"▶ {data['step']}{again}  {self._title(data['step'])}", "dim")

    def _on_step_retrying(self, data: Mapping[str, Any]) -> None:
        error = data["error"] or {}
        why = f"{error.get('type')}: {one_line(str(error.get('message')))}"
        self.line(f"↻ {data['step']}  {why}; again in {data['delay_s']:g} s", "yellow")

    def _on_step_polling(self, data: Mapping[str, Any]) -> None:
        red = [gate for gate in data["gates"] if gate["verdict"] == "red"]
        why = "; ".join(f"{gate['check']} ({_values(gate)})" for gate in red)
        self.line(f"↻ {data['step']}  waits for {one_line(why, 200)}; again in {data['delay_s']:g} s", "yellow")

    def _on_step_verified(self, data: Mapping[str, Any]) -> None:
        self.line(f"? {data['step']}  {data['answer']} says {data['by']}: {one_line(data['reason'] or '')}", "yellow")

    def _on_step_finished(self, data: Mapping[str, Any]) -> None:
        self._started.pop(data["step"], None)
        status = data["status"]
        quiet = status == "omitted"
        parts = [f"{MARKS.get(status, ' ')} {data['step']}  {status.replace('_', ' ')}"]
        if data["elapsed_s"] >= 0.05:
            parts.append(f"{data['elapsed_s']:.1f} s")
        if data["reason"]:
            parts.append(one_line(data["reason"]))
        seen = {
            name: value for gate in data["gates"] if gate["verdict"] == "pass" for name, value in gate["values"].items()
        }
        if status == "passed" and seen:
            parts.append(
                one_line(" · ".join(f"{name} = {value}" for name, value in seen.items() if "." not in name), 140)
            )
        self.line("  ".join(parts), "dim" if quiet else COLOURS.get(status, ""))
        for gate in data["gates"]:
            if gate["verdict"] != "pass":
                self._gate(gate)
        if data["error"]:
            first, *more = data["error"]["message"].splitlines() or [""]
            self.line(f"    {data['error']['type']}: {one_line(first)}", "red")
            for line in more[:4]:
                self.line(f"    {one_line(line)}", "red")
            trace = data["error"]["trace"].strip().splitlines()
            for line in trace[-4:-1] if len(trace) > 3 else []:
                self.line(f"    {one_line(line)}", "dim")

    def _gate(self, gate: Mapping[str, Any]) -> None:
        style = "red" if gate["severity"] == "blocking" and gate["verdict"] == "red" else "yellow"
        kind = "" if gate["severity"] == "blocking" else " (advisory)"
        self.line(f"    gate {gate['verdict']}{kind}: {one_line(gate['check'])}", style)
        if gate["message"]:
            self.line(f"      {one_line(gate['message'])}", style)
        for name, value in gate["values"].items():
            self.line(f"      {name} = {one_line(value)}")
        if gate["error"]:
            self.line(f"      {one_line(gate['error'])}", style)

    def _on_prompt_opened(self, data: Mapping[str, Any]) -> None:
        self._on_pause()

    def _on_pause(self) -> None:
        """Make room for a question."""

    def _on_prompt_answered(self, data: Mapping[str, Any]) -> None:
        if data["source"] == "scripted":
            ticked = sum(each["answer"] == "yes" for each in data["answers"])
            self.line(
                f"  {data['step']}: {ticked} of {len(data['answers'])} ticked by {data['by']} (scripted)", "yellow"
            )

    def _on_run_stopping(self, data: Mapping[str, Any]) -> None:
        self.line(f"{data['reason']}: stopping; running steps are asked to end. Once more kills them.", "yellow")

    def _on_act_received(self, data: Mapping[str, Any]) -> None:
        said = f"; refused: {one_line(data['refused'])}" if data["refused"] else ""
        what = data["kind"] or one_line(data["id"], 80)
        self.line(f"  {data['by'] or 'someone'} asks from another process: {what}{said}", "yellow")

    def _on_run_interrupted(self, data: Mapping[str, Any]) -> None:
        self.line(f"interrupted: {data['reason']}", "yellow")

    def _on_run_finished(self, data: Mapping[str, Any]) -> None:
        self.line(
            f"{data['outcome'].upper()}  exit {data['exit_code']}  {data['elapsed_s']:.1f} s",
            f"bold {COLOURS.get(data['outcome'], 'red')}",
        )

    def _title(self, step: str) -> str:
        return one_line(self._titles.get(step.partition("[")[0], ""), 120)


class LiveTerminal(PlainLines):
    """The same lines in colour, with the running steps, their time and progress below them."""

    live = True

    def __init__(self) -> None:
        super().__init__()
        from rich.console import Console  # noqa: PLC0415 - 40 ms that plain lines do not pay
        from rich.live import Live  # noqa: PLC0415 - rich is slow to import

        self._console = Console(highlight=False, soft_wrap=False, file=cast(TextIO, self._out))
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._progress: dict[str, Progress] = {}
        self._paused = False
        self._on = False
        self._last_tick = 0.0

    def line(self, text: str, style: str = "") -> None:
        """Print one line above the live part."""
        from rich.text import Text  # noqa: PLC0415 - rich is slow to import

        self._console.print(Text(visible(text), style=style), soft_wrap=True)

    def show(self, text: str) -> None:
        """Print a question; the live part stays away until it is answered."""
        self._out.write(text)

    def on_event(self, event: Event) -> None:
        """Print what the event means, and forget the progress of a step that has ended."""
        super().on_event(event)
        if event.type in ("step.finished", "step.retrying", "step.polling"):
            self._progress.pop(event.data["step"], None)
        if event.type in ("run.finished", "run.interrupted"):
            self.close()
        if event.type == "prompt.answered":
            self._paused = False

    def on_progress(self, step: str, progress: Progress) -> None:
        """Keep the progress for the next tick."""
        self._progress[step] = progress

    def _on_pause(self) -> None:
        self._paused = True
        self._switch(False)

    def _switch(self, on: bool) -> None:
        if on != self._on:
            (self._live.start if on else self._live.stop)()
            self._on = on

    def tick(self) -> None:
        """Draw the running steps."""
        now = time.monotonic()
        if self._paused or now - self._last_tick < 0.09:
            return
        self._last_tick = now
        self._switch(bool(self._started))
        if self._on:
            self._live.update(self.drawn(now), refresh=True)

    def drawn(self, now: float) -> Any:
        """Return what is drawn below the lines, for rich; now: monotonic seconds."""
        from rich.progress_bar import ProgressBar  # noqa: PLC0415 - rich is slow to import
        from rich.table import Table  # noqa: PLC0415 - rich is slow to import
        from rich.text import Text  # noqa: PLC0415 - rich is slow to import

        table = Table.grid(padding=(0, 1))
        for step, started in self._started.items():
            progress = self._progress.get(step)
            bar: Any = Text("")
            label = ""
            if progress is not None:
                label = one_line(progress.label, 60)
                if _is_drawable(progress):
                    bar = ProgressBar(total=progress.total, completed=progress.done, width=24)
            table.add_row(
                Text("  ⏵", style="cyan"),
                Text(one_line(step, 60)),
                Text(f"{now - started:5.1f} s", style="dim"),
                bar,
                Text(label, style="dim"),
            )
        return table

    def close(self) -> None:
        """Take the live part away."""
        self._switch(False)


def _values(gate: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in gate["values"].items())


def _is_drawable(progress: Progress) -> bool:
    """Return whether a bar can show it: a step may say anything, and what is no share of a whole has no bar."""
    numbers = (progress.done, progress.total)
    return bool(progress.total) and all(isinstance(each, int | float) and abs(each) < MOST for each in numbers)


def listener_for(*, as_json: bool, terminal: Callable[[], PlainLines] = LiveTerminal) -> JsonLines | PlainLines:
    """Return the listener that fits standard output; `terminal` makes the one for a terminal."""
    if as_json:
        return JsonLines()
    if sys.stdout is not None and sys.stdout.isatty():
        return terminal()
    return PlainLines()
