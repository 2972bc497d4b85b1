"""One damaged file: the calls that meet it, and what may come of them."""

import faulthandler
import io
import os
import random
import re
import resource
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from scripts.damage.kinds import CONTENTS, damage
from scripts.damage.scene import SUBMIT, Target, results
from submission.cli import main

SECONDS = 300  # for one call, of which an undisturbed one takes two; more is a hang
GIGABYTES = 4  # of addresses, beside what the process has; an undisturbed call takes a quarter
_RAW = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u202e\udc80-\udcff]")  # what moves a cursor

# What may happen, in the order of a table; what stands behind BAD must not.
WORKED = "as before"  # exit 0 and, of a run, every result equal to the byte
OTHER = "as other input"  # exit 0: what is there now is a valid file that says something else
NAMED = "named"  # a sentence with the file or what is in it, exit 1 or 2
MENDED = "mended"  # named, and --mend made it again, equal to the byte
BAD = "bad"


class Hang(BaseException):
    """A call that did not end."""


@dataclass(frozen=True)
class Case:
    """What came of one damaged file: an outcome, and the words that show a bad one."""

    outcome: str
    words: str = ""


def one_case(target: Target, file: Path, kind: str, rng: random.Random, whole: dict[str, bytes]
             ) -> Case:  # fmt: skip
    """Damage a file of the scene in the present folder, make the calls and judge them.

    `whole` are the results of the undamaged run.
    """
    before = file.read_bytes()
    damage(file, kind, rng)
    if kind in CONTENTS and file.read_bytes() == before:
        return Case(WORKED)  # zeros where there were zeros
    outcomes = [_call(words) for words in target.calls]
    for one in outcomes:
        if one.outcome == BAD:
            return one
    said = " ".join(one.words for one in outcomes)
    if not target.is_of_run:
        return Case(NAMED if any(one.outcome == NAMED for one in outcomes) else OTHER, said)
    return _judge_run(outcomes, said, file, whole)


def _judge_run(outcomes: list[Case], said: str, file: Path, whole: dict[str, bytes]) -> Case:
    """A run that was damaged must be whole again, by itself or with the words that it says."""
    named = outcomes[0].outcome == NAMED
    if named and "--mend" not in said and "delete" not in said:
        return Case(BAD, f"stuck without advice: {said}")
    if named:
        mended = _call((*SUBMIT, "--mend")) if "--mend" in said else None
        if mended is None:
            return Case(NAMED, said)
        if mended.outcome != WORKED:
            return Case(BAD, f"--mend does not help: {mended.words}")
    now = results(Path("out"))
    if different := sorted(name for name in whole.keys() | now.keys()
                           if whole.get(name) != now.get(name)):  # fmt: skip
        return Case(BAD, f"silently different ({file}): {', '.join(different[:4])}; {said[:300]}")
    return Case(MENDED if named else WORKED, said)


def _call(words: tuple[str, ...]) -> Case:
    said = io.StringIO()
    shown = " ".join(words)
    try:
        with redirect_stderr(said), redirect_stdout(said), _limited():
            status = main([*words, *(() if words[0] in ("check", "weights") else ("--quiet",))])
    except Hang:
        return Case(BAD, f"{shown}: no end after {SECONDS} s")
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else 1
    except BaseException:
        return Case(BAD, f"{shown}: {traceback.format_exc()[-800:]}")
    text = said.getvalue()
    if status not in (0, 1, 2) or "Traceback" in text:
        return Case(BAD, f"{shown}: exit {status}: {text[-800:]}")
    if "memory of this machine" in text:
        return Case(BAD, f"{shown}: more than {GIGABYTES} GB of memory")
    if _RAW.search(text):
        return Case(BAD, f"{shown}: raw control characters: {text!r:.600}")
    if status and len(text.strip()) < 10:
        return Case(BAD, f"{shown}: exit {status} and no word")
    return Case(NAMED if status else WORKED, f"{shown}: {text}" if status else "")


@contextmanager
def _limited() -> Iterator[None]:
    alarms = 0

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal alarms
        alarms += 1
        if alarms > 1:  # a thread that nobody can stop
            faulthandler.dump_traceback(sys.__stderr__)
            os._exit(1)
        signal.alarm(SECONDS)
        raise Hang

    before = signal.signal(signal.SIGALRM, stop)
    memory = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (_addresses() + (GIGABYTES << 30), memory[1]))
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, memory)
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _addresses() -> int:
    """Bytes of addresses that this process has now."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()
