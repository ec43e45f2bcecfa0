"""`python -m aurora`: the same program as `aurora`."""

from aurora.commands.main import entry

if __name__ == "__main__":
    entry()
