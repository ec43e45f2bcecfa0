"""Others: the same steps in a row by DBOS, doit and Prefect, each as its documentation says, beside Aurora."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from benchmarks.engine import bare
from benchmarks.measure import Case, Figure, Group, Size, in_turns
from benchmarks.memory import ENGINE
from benchmarks.project import Bench, bench, noops
from benchmarks.start import when

AURORA, FLOOR = "Aurora", "two synced lines"
KINDS = {"a step": "ms", "to the first step": "s", "peak memory of its processes": "MiB"}
HOW_TO = "python3 -m venv FOLDER; FOLDER/bin/pip install {package}; then --peers FOLDER/bin/python"

MARKS = '''
    """What a peer's program notes: when its steps are called, and the memory of its processes."""

    import json
    import os
    import re
    import time
    from pathlib import Path

    calls = []

    def call():
        calls.append(time.time())

    def note():
        ours, peaks = {os.getpid()}, 0
        for number in sorted(int(folder.name) for folder in Path("/proc").glob("[0-9]*")):
            try:
                status = Path(f"/proc/{number}/status").read_text()
            except OSError:
                continue
            if number in ours or int(re.search(r"PPid:\\s+(\\d+)", status)[1]) in ours:
                ours.add(number)
                peaks += int(re.search(r"VmHWM:\\s+(\\d+)", status)[1])
        Path("marks.json").write_text(json.dumps({"calls": calls, "memory": peaks / 1024}))
'''
DBOS = """
    import sys

    import marks
    from dbos import DBOS, DBOSConfig

    @DBOS.step()
    def noop() -> None:
        marks.call()

    @DBOS.workflow()
    def work(count: int) -> None:
        for _ in range(count):
            noop()

    if __name__ == "__main__":
        config: DBOSConfig = {"name": "bench", "system_database_url": "sqlite:///bench.sqlite"}
        DBOS(config=config)
        DBOS.launch()
        work(int(sys.argv[1]))
        marks.note()
        DBOS.destroy()
"""
DOIT = """
    import marks
    from doit import get_var

    def task_noop():
        for number in range(int(get_var("count"))):
            yield {"name": f"s{number}", "actions": [marks.call]}

    def task_note():
        return {"actions": [marks.note], "task_dep": ["noop"]}
"""
PREFECT = """
    import os
    import sys

    os.environ["PREFECT_HOME"] = os.path.abspath("prefect")  # its settings and database, of this run only
    os.environ["DO_NOT_TRACK"] = "1"

    import marks
    from prefect import flow, task

    @task
    def noop() -> None:
        marks.call()

    @flow
    def work(count: int) -> None:
        for _ in range(count):
            noop()

    if __name__ == "__main__":
        work(int(sys.argv[1]))
        marks.note()
"""


@dataclass(frozen=True)
class Peer:
    """Another program that runs steps: its package, and how `count` steps are written and run with it."""

    name: str
    package: str
    keeps: str
    """What it has on disk when a step has ended."""
    file: str
    text: str
    words: tuple[str, ...]


PEERS = (
    Peer("DBOS", "dbos", "each step in SQLite, synced", "with_dbos.py", DBOS, ("with_dbos.py", "{count}")),
    Peer("doit", "doit", "nothing, it writes once, at its end", "dodo.py", DOIT, ("-m", "doit", "count={count}")),
    Peer(
        "Prefect",
        "prefect",
        "its server's SQLite, not synced",
        "with_prefect.py",
        PREFECT,
        ("with_prefect.py", "{count}"),
    ),
)


def measure(size: Size) -> Group:
    """Run `size.steps` steps with each: a step's time, the time to the first one, and memory. Linux only."""
    size = replace(size, rounds=-(-size.rounds // 2))
    found = {peer: _version(size.peers, peer.package) for peer in PEERS}
    with bench(size) as project:
        project.write("marks.py", textwrap.dedent(MARKS))
        project.book("steps", ["{id: first, uses: bench.called}", *noops(size.steps), "{id: peaks, uses: bench.peaks}"])
        cases: list[Case] = [
            lambda: {f"{FLOOR}: a step": bare(project.root / "floor.jsonl", size.steps)},
            lambda: _of_aurora(project),
        ]
        for peer in (peer for peer, version in found.items() if version):
            project.write(peer.file, textwrap.dedent(peer.text))
            cases.append(partial(_of_peer, project, peer, size))
        values = in_turns(cases, size)
    return Group(
        f"others, {size.steps:,} steps in a row",
        [
            Figure(f"{who}: {kind}", unit, values[f"{who}: {kind}"], values[f"{AURORA}: {kind}"])
            for kind, unit in KINDS.items()
            for who in (FLOOR, AURORA, *(peer.name for peer in PEERS))
            if f"{who}: {kind}" in values
        ],
        beside=AURORA,
        notes=[_note(peer, version) for peer, version in found.items()],
    )


def _version(python: str | None, package: str) -> str:
    """Return the version of a package that a Python has; empty when there is none."""
    if python is None:
        return ""
    look = f"import importlib.metadata; print(importlib.metadata.version({package!r}))"
    ended = subprocess.run([python, "-c", look], capture_output=True, text=True, check=False)
    return ended.stdout.strip() if ended.returncode == 0 else ""


def _note(peer: Peer, version: str) -> str:
    if version:
        return f"{peer.name} {version}; on disk when a step has ended: {peer.keeps}"
    return f"{peer.name}: not installed ({HOW_TO.format(package=peer.package)})"


def _of_aurora(project: Bench) -> Mapping[str, float]:
    ended = project.call([sys.executable, "-c", ENGINE])
    ends = [event for event in project.events() if event.type == "step.finished"]
    first, *_, last = (event.data["outputs"] for event in ends if event.data["outputs"])
    memory = int(ended.output.split()[-1]) / 1024 + last["worker"] + last["warden"]
    return _figures(AURORA, [when(event) for event in ends[:-1]], first["at"] - ended.started, memory)


def _of_peer(project: Bench, peer: Peer, size: Size) -> Mapping[str, float]:
    ended = project.call([str(size.peers), *(word.format(count=size.steps) for word in peer.words)])
    marks = json.loads((project.root / "marks.json").read_text())
    calls = marks["calls"]
    if len(calls) != size.steps:
        raise RuntimeError(f"{peer.name} called {len(calls)} of {size.steps} steps")
    return _figures(peer.name, calls, calls[0] - ended.started, marks["memory"])


def _figures(who: str, steps: Sequence[float], start: float, memory: float) -> Mapping[str, float]:
    """Return the figures of one run, whose steps began, or ended, at these times."""
    a_step = (steps[-1] - steps[0]) / (len(steps) - 1) * 1000
    return {f"{who}: {kind}": value for kind, value in zip(KINDS, (a_step, start, memory), strict=True)}
