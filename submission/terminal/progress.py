"""Say what is going on: a live bar on a terminal, plain lines elsewhere, or JSON lines.

One bar covers the whole run. Its unit is the time that predicting one mask takes; the cheaper
stages count as small fractions of that, so the remaining time is right where it matters. In a
narrow terminal names and facts are cut; percent, elapsed and remaining time never are.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from getpass import getpass
from pathlib import Path
from shutil import get_terminal_size
from typing import Any, Literal, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column

from submission.terminal.tables import harmless, wrapped

Mode = Literal["bar", "plain", "json", "quiet"]
PLAIN_EVERY = 10.0  # seconds between lines when the output is not a terminal


class Reporter:
    """Where every stage reports; use as a context manager around the work.

    `mode` "quiet" keeps only warnings. All of it goes to standard error: standard output is for
    results.
    """

    def __init__(self, mode: Mode, *, verbose: bool = False) -> None:
        self.mode = mode
        self.verbose = verbose
        self.folder: Path | None = None  # of the run that is worked on
        self.answers: dict[str, Any] = {}  # values of what the verb prints, for --json
        self.at = ""  # the stage, and how far it is, in words
        self._log: Path | None = None
        self._unlogged: list[str] = []  # said before there was a log
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._stage = ""
        self._total = 0.0
        self._done = 0.0
        self._started = time.monotonic()
        self._last_line = 0.0
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        if self.mode == "bar":
            plain = self._console.options.ascii_only
            self._bar = Progress(
                TextColumn("{task.description}", markup=False, table_column=_yielding(5, plain)),
                BarColumn(None, table_column=_yielding(1, plain)), TaskProgressColumn(),
                TimeElapsedColumn(), TextColumn("eta"), TimeRemainingColumn(),
                TextColumn("{task.fields[facts]}", markup=False, table_column=_yielding(6, plain)),
                console=self._console, transient=True, expand=True, speed_estimate_period=120,
            )  # fmt: skip
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def keep_log(self, path: Path) -> None:
        """From now on add all that is said to a file, and first what was said before."""
        if path != self._log:
            self._log = path
            earlier, self._unlogged = self._unlogged, []
            self._write(earlier)

    def _note(self, text: str) -> None:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        line = f"{now}  {text.replace(chr(10), chr(10) + '  ')}\n"
        if self._log is None:
            self._unlogged.append(line)
        else:
            self._write([line])

    def _write(self, lines: list[str]) -> None:
        assert self._log is not None
        # A full disk stops the work where it writes results; a log is no reason to. Nor is a named
        # pipe in its place: without waiting it is refused.
        with (
            suppress(OSError),
            open(self._log, "a", encoding="utf-8", errors="replace", opener=_at_once) as file,
        ):
            file.write("".join(lines))

    def plan(self, units: float) -> None:
        """State how many units the run still has before it."""
        self._total += units
        if self._bar is not None:
            if self._task is None:
                self._task = self._bar.add_task("start", total=self._total, facts="")
            self._bar.update(self._task, total=self._total)

    def stage(self, name: str) -> None:
        """Begin a stage."""
        self.at = name
        self._stage = name
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, description=name, facts="")
        elif self.mode == "json":
            self._json("stage", stage=name)
        elif self.mode == "plain":
            self._print(name)
        self._last_line = time.monotonic()
        self._note(name)

    @contextmanager
    def inside(self, name: str, facts: str) -> Iterator[None]:
        """A stage inside the present one, which goes on after it."""
        before, at = self._stage, self.at
        self.stage(f"{name} ({facts})")
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, description=name, facts=facts)
        yield
        self._stage, self.at = before, at
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, description=before)
        elif self.mode == "json":
            self._json("stage", stage=before)

    def advance(self, units: float, facts: str = "") -> None:
        """Count finished units; `facts` says in words how far the stage is."""
        self._done += units
        self.at = f"{self._stage}, {facts}".strip(", ")
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, advance=units, facts=facts)
        if time.monotonic() - self._last_line >= PLAIN_EVERY:
            self._last_line = time.monotonic()
            words = f"  {facts}, {self._share():.0%} of the run, {_duration(self._eta())} left"
            self._note(words)
            if self.mode == "json":
                self._json("progress", facts=facts, share=self._share(), eta_s=self._eta())
            elif self.mode == "plain":
                self._console.print(words, markup=False)

    def counter(self, total: int, units: float, what: str) -> Callable[[int], None]:
        """Return what counts finished things, so many units each, and says how many of all."""
        seen = 0

        def count(number: int) -> None:
            nonlocal seen
            seen += number
            self.advance(number * units, f"{seen} of {total} {what}")

        return count

    def say(self, text: str) -> None:
        """Tell something that everybody wants to know."""
        self._note(text)
        self._say(text)

    def result(self, text: str) -> None:
        """Print a line of the answer on standard output."""
        self._note(text)
        text = harmless(text)
        print(wrapped(text, get_terminal_size().columns) if sys.stdout.isatty() else text)

    def _say(self, text: str) -> None:
        if self.mode == "json":
            self._json("message", text=text)
        elif self.mode != "quiet":
            self._print(text)

    def _print(self, text: str) -> None:
        console, text = self._console, harmless(text)
        console.print(wrapped(text, console.width) if console.is_terminal else text, markup=False)

    def answer(self, **values: Any) -> None:
        """Tell the values of what is printed as the answer, for a reader of JSON."""
        self.answers |= values

    def detail(self, text: str) -> None:
        """Tell something that is asked for with -v."""
        self._note(text)
        if self.verbose:
            self._say(text)

    @property
    def can_ask(self) -> bool:
        """Whether somebody is there to be asked."""
        return sys.stdin.isatty() and self.mode in ("bar", "plain")

    def ask(self, question: str, *, hidden: bool = False) -> str:
        """Ask on the terminal, the answer `hidden` or not; a bar stands aside meanwhile."""
        if self._bar is not None:
            self._bar.stop()
        try:
            return (getpass(question) if hidden else input(question)).strip()
        except EOFError:
            return ""
        finally:
            if self._bar is not None:
                self._bar.start()

    def warn(self, text: str) -> None:
        """Tell something that must not be missed, in every mode."""
        self._note(f"warning: {text}")
        if self.mode == "json":
            self._json("warning", text=text)
        else:
            self._console.print(f"warning: {harmless(text)}", markup=False, style="yellow")

    def fail(self, text: str) -> None:
        """Say why the work stopped, in every mode."""
        self._note(text)
        if self.mode == "json":
            self._json("error", text=text)
        else:
            self._print(text)

    def _share(self) -> float:
        return min(1.0, self._done / self._total) if self._total else 1.0

    def _eta(self) -> float:
        elapsed = time.monotonic() - self._started
        return elapsed * (self._total - self._done) / self._done if self._done else 0.0

    def _json(self, event: str, **values: Any) -> None:
        line = {"time": round(time.time(), 3), "event": event, **values}
        print(json.dumps(line, ensure_ascii=False), file=sys.stderr, flush=True)


def _at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)


@contextmanager
def stopwatch(seconds: dict[str, float], stage: str) -> Iterator[None]:
    """Add the seconds that a block takes to `seconds[stage]`."""
    started = time.perf_counter()
    try:
        yield
    finally:
        seconds[stage] = round(seconds.get(stage, 0.0) + time.perf_counter() - started, 3)


def _yielding(ratio: int, ascii_only: bool) -> Column:
    """A column that takes its share of what is left, and is cut where that is too little.

    A terminal that knows ASCII only would show the dots of the cut as a code of six letters.
    """
    return Column(ratio=ratio, no_wrap=True, overflow="crop" if ascii_only else "ellipsis")


def _duration(seconds: float) -> str:
    hours, rest = divmod(round(seconds), 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"
