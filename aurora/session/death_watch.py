"""A process beside a session that tells a person at once when the session's own can't any more: killed, or hung.

It shares no process group with the session, so that whatever ends the one (SIGKILL, too little memory, a warden)
leaves the other. It is this file, run without the rest of Aurora: what it says was made before.
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

SILENT_S = 90
"""A way out may take a minute without a beat; a loop that is silent for longer is as good as dead."""
EVERY_S = 5.0
TELLING_S = 60
_BEAT, _OVER = b".", b"o"


class DeathWatch(AbstractContextManager["DeathWatch"]):
    """enter → beating → exit, after which nothing is told.

    died, hung: the programs that tell of the one and of the other, as words; none is watched where there are none.
    silent_s: whole seconds without a beat after which the session counts as hung.
    trouble: why nobody watches, in words; empty when somebody does.
    """

    def __init__(
        self,
        died: Sequence[str],
        hung: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
        silent_s: int = SILENT_S,
    ) -> None:
        self._words = [str(silent_s), str(len(died)), *died, *hung] if died else []
        self._environment = {**environment, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        self._folder = folder
        self._watcher: subprocess.Popen[bytes] | None = None
        self._next_s = 0.0
        self.trouble = ""

    def __enter__(self) -> DeathWatch:
        if not self._words:
            return self
        try:
            self._watcher = subprocess.Popen(
                [sys.executable, "-I", "-S", __file__, *self._words],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd=self._folder,
                env=self._environment,
                start_new_session=True,
            )
        except OSError as error:
            self.trouble = f"nobody would tell that the session died: its watcher can't be started: {error.strerror}"
            return self
        assert self._watcher.stdin is not None
        os.set_blocking(self._watcher.stdin.fileno(), False)
        return self

    def __exit__(self, *_: object) -> None:
        if self._watcher is None:
            return
        assert self._watcher.stdin is not None
        self._say(_OVER)
        with contextlib.suppress(OSError):
            self._watcher.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._watcher.wait(1)  # one that tells of a silence, which is over, goes on

    def beating(self, is_stopping: Callable[[], bool]) -> Callable[[], bool]:
        """Return `is_stopping`, which a loop that lives asks at each look: each time is a beat."""

        def beat() -> bool:
            now_s = time.monotonic()
            if self._watcher is not None and now_s >= self._next_s:
                self._next_s = now_s + EVERY_S
                self._say(_BEAT)
            return is_stopping()

        return beat

    def _say(self, word: bytes) -> None:
        assert self._watcher is not None
        assert self._watcher.stdin is not None
        with contextlib.suppress(OSError):  # a watcher that is gone tells nobody; the session goes on
            os.write(self._watcher.stdin.fileno(), word)


def watch(silent_s: int, died: Sequence[str], hung: Sequence[str]) -> None:
    """Read beats from standard input until the session says that it is over, or can say nothing any more."""
    has_told = False
    while True:
        readable, _, _ = select.select([0], [], [], None if has_told else silent_s)
        heard = os.read(0, 4096) if readable else b""
        if _OVER in heard:
            return
        if heard:
            continue
        if readable:
            _tell(died)
            return
        has_told = True  # once: who was told looks at it
        _tell(hung)


def _tell(program: Sequence[str]) -> None:
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        subprocess.run(program, stdin=subprocess.DEVNULL, timeout=TELLING_S, check=False)


if __name__ == "__main__":
    count = int(sys.argv[2])
    watch(int(sys.argv[1]), sys.argv[3 : 3 + count], sys.argv[3 + count :])
