"""kill -9 at random moments, resume, and compare with an undisturbed run: seeded and bounded."""

import argparse
import os
import random
import signal
import sys
import tempfile
from collections.abc import Sequence
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

from scripts.damage.scene import SUBMIT, lay_out, results
from submission.cli import main as command
from submission.files.whole import PARTIAL_SUFFIX

EVENTS = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir")  # of files, to be killed at
RUN = Path("out")


def main(words: Sequence[str] | None = None) -> int:
    """Print how many kills and rounds there were, and what differed; 1 when something did."""
    parser = argparse.ArgumentParser(prog="python -m scripts.damage.kill", description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=10, help="runs that are killed and resumed")
    parser.add_argument("--kills", type=int, default=4, help="at most, in each round")
    arguments = parser.parse_args(words)
    rng = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        lay_out(Path())
        wanted = results(RUN)
        kills, faults = 0, []
        for number in range(1, arguments.rounds + 1):
            RUN.rename(f"finished-{number}")
            killed, ended = _round(rng, arguments.kills)
            kills += killed
            what = [] if ended == 0 else [f"the last call ended with {ended}"]
            what += _differences(wanted)
            faults += [f"round {number}: {one}" for one in what]
            print(f"round {number}: {killed} kills, {'; '.join(what) or 'equal'}", flush=True)
    print(f"{kills} kills in {arguments.rounds} rounds, {len(faults)} differences")
    return 1 if faults else 0


def _round(rng: random.Random, most: int) -> tuple[int, int]:
    """Kill a run again and again, each time a little later, and let it end; kills and status."""
    for killed in range(most):
        # Fewer events remain where much is done: small numbers come more often.
        status = _call(int(rng.expovariate(1 / 60)) + 1)
        if status != -signal.SIGKILL:
            return killed, status
    return most, _call(None)


def _call(events: int | None) -> int:
    """Run the command in a process that kills itself before so many events; its status."""
    child = os.fork()  # all modules are there: a call takes a second
    if child == 0:
        with Path("said.txt").open("w") as said, redirect_stdout(said), redirect_stderr(said):
            if events is not None:
                _kill_before(events)
            status = command([*SUBMIT, "--quiet"])
        os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _kill_before(events: int) -> None:
    left = events
    place = f"{RUN}/"

    def hook(name: str, details: tuple[Any, ...]) -> None:
        nonlocal left
        if name not in EVENTS or not any(place in str(one) for one in details[:2]):
            return
        if name == "open" and not details[2] & (os.O_WRONLY | os.O_RDWR):
            return
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def _differences(wanted: dict[str, bytes]) -> list[str]:
    now = results(RUN)
    different = [name for name in wanted.keys() | now.keys() if wanted.get(name) != now.get(name)]
    left = [str(path) for path in RUN.rglob(f"*{PARTIAL_SUFFIX}")]
    return [f"{name} differs" for name in sorted(different)] + [f"{name} is left" for name in left]


if __name__ == "__main__":
    sys.exit(main())
