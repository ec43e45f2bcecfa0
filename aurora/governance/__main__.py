"""`python -m aurora.governance CHECK`: run a named check for a CI; a red that only advises is said, and exits 0."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from aurora.engine.project import find_project
from aurora.errors import AuroraError, OperatorError
from aurora.governance.table import read_table

REFUSED = 2
_PROGRAM = (sys.executable, "-c", "from aurora.commands.main import entry; entry()")


def main(words: list[str]) -> int:
    """Run the check; return its runbook's exit code where it blocks. What can't be run fails, whatever it is."""
    try:
        root = find_project(Path.cwd()).root
        table = read_table(root)
        if len(words) != 1 or words[0] not in table or not table[words[0]].runbook:
            names = ", ".join(name for name, check in table.items() if check.runbook)
            raise OperatorError(
                f"A check was to be named, it was: {' '.join(words) or 'nothing'}.", todo=f"one of: {names}"
            )
        check = table[words[0]]
    except AuroraError as error:
        sys.stderr.write(f"aurora: {error.diagnostics()}\n")
        return REFUSED
    code = subprocess.run([*_PROGRAM, "runbook", check.runbook], cwd=root, check=False).returncode
    if code == 0 or check.blocks or code == REFUSED:
        return code
    sys.stdout.write(f"::warning title={check.named}::it failed (exit {code}); it is advisory and blocks nothing\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
