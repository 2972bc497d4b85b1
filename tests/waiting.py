"""Wait for what others do: for events, never for seconds, with one limit so that nothing hangs.

No verdict of a test hangs on how fast the machine is.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

LIMIT = 600  # seconds; only so that a test that fails does not hang

# The command line, killed from within when a file of `place` gets its name for the n-th time: at
# the same point of the work on any machine.
_KILLED = """
import os, signal, sys
place, left = sys.argv[1], int(sys.argv[2])
def look(event, arguments):
    global left
    if event == "os.rename" and place in os.fsdecode(arguments[1]):
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(look)
from submission.cli import main
sys.exit(main(sys.argv[3:]))
"""


def run_until_killed(words: Sequence[str], folder: Path, place: str, count: int) -> int:
    """Run a command in `folder`, with `kill -9` before it has `count` files whose path has `place`.

    Returns its exit status: that of a finished run where there never were so many.
    """
    command = [sys.executable, "-c", _KILLED, place, str(count), *words]
    return subprocess.run(command, cwd=folder, check=False, timeout=LIMIT).returncode


def wait_until(is_so: Callable[[], object], otherwise: str) -> None:
    """Return once `is_so` says yes; fail with `otherwise` at the limit."""
    until = time.monotonic() + LIMIT
    while not is_so():
        assert time.monotonic() < until, otherwise
        time.sleep(0.01)
