"""ssh-keygen at work beside the engine's loop: timeouts and other steps go on while a key is asked (engine rule 22)."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable, Sequence

from aurora.consent import Signed
from aurora.errors import SigningFailed
from aurora.evidence import signing
from aurora.evidence.signing import Keygen


class Errand:
    """work begins at once, in a thread → `descriptor` becomes readable when it has ended → `result`; or `stop`.

    The thread only waits for ssh-keygen; it writes nothing. Whoever starts an errand takes its result, or stops it.
    """

    def __init__(self, work: Callable[[Keygen], Signed]) -> None:
        self.descriptor, self._end = os.pipe()
        self._work = work
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False
        self._done: Signed | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._go, name="ssh-keygen", daemon=True)
        self._thread.start()

    def result(self) -> Signed:
        """Return what came of it, and forget the errand. Raises RecordError and its kin."""
        self._close()
        if self._error is not None:
            raise self._error
        assert self._done is not None
        return self._done

    def stop(self) -> None:
        """End it wherever it is, and forget it."""
        with self._lock:
            self._stopped = True
            if self._process is not None:
                signing.end(self._process)
        self._close()

    def _close(self) -> None:
        self._thread.join()
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def _go(self) -> None:
        try:
            self._done = self._work(self._keygen)
        except BaseException as error:  # noqa: BLE001 - it is raised where the result is taken
            self._error = error
        finally:
            os.close(self._end)

    def _keygen(self, words: Sequence[str], data: bytes) -> subprocess.CompletedProcess[bytes]:
        return signing.ssh_keygen(words, data, self._started)

    def _started(self, process: subprocess.Popen[bytes]) -> None:
        with self._lock:
            self._process = process
            if self._stopped:
                signing.end(process)
                raise SigningFailed("It was stopped.")
