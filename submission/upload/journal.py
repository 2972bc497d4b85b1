"""upload.json: what was done with a zip on a server, written before and after each step.

    {"uploads": [{"server", "competition", "phase", "zip": {...}, "steps": {NAME: {"begun", "done",
    ...}}, "submission": {...}, "scores": {...}}]}

A step with "begun" and without "done" may have happened or not: who goes on has to look. The
signed address of an upload is kept only until the upload is complete; a token never is.
"""

import fcntl
import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from submission.errors import InputError
from submission.files.strict_json import read_json
from submission.files.whole import write_json

NAME = "upload.json"
READ_AT_ONCE = 1 << 20  # bytes


@dataclass(frozen=True)
class ZipFile:
    """A zip to be sent, and its content by hash."""

    path: Path
    bytes: int
    sha256: str
    md5: str  # what storages call the ETag of a file that was sent in one piece


@dataclass(frozen=True)
class Target:
    """Where a zip goes."""

    server: str
    competition: int
    phase: int


class Attempt:
    """One zip on its way to one phase; every change is on disk when the call returns."""

    def __init__(self, journal: "Journal", place: int, values: dict[str, Any]) -> None:
        self._journal, self._place, self.values = journal, place, values

    def begin(self, step: str, **facts: Any) -> None:
        """Note that a step is about to be made."""
        self._steps()[step] = {"begun": self._journal.time(), **facts}
        self._save()

    def finish(self, step: str, **facts: Any) -> None:
        """Note that a step is made, and what came of it."""
        self._steps()[step] |= {"done": self._journal.time(), **facts}
        self._save()

    def is_begun(self, step: str) -> bool:
        """Tell whether a step was begun, finished or not."""
        return step in self._steps()

    def is_done(self, step: str) -> bool:
        """Tell whether a step was finished."""
        return "done" in self._steps().get(step, {})

    def fact(self, step: str, name: str) -> Any:
        """Return what came of a finished step."""
        return self._steps()[step][name]

    def forget(self, *steps: str) -> None:
        """Take steps back, so that they are made again."""
        for step in steps:
            self._steps().pop(step, None)
        self._save()

    def drop(self, step: str, name: str) -> None:
        """Forget one fact of a step."""
        self._steps()[step].pop(name, None)
        self._save()

    def note(self, **values: Any) -> None:
        """Keep facts of the whole attempt."""
        self.values |= values
        self._save()

    @property
    def submission(self) -> int | None:
        """The number of the submission, None while there is none."""
        number = self._steps().get("submit", {}).get("id")
        return int(number) if number is not None else None

    def _save(self) -> None:
        self._journal.save(self._place, self.values)

    def _steps(self) -> dict[str, dict[str, Any]]:
        steps: dict[str, dict[str, Any]] = self.values["steps"]
        return steps


class Journal:
    """The file, whole at any moment.

    While one command waits for scores another may hand in: each writes its own attempt and leaves
    the others as they are in the file by then.
    """

    def __init__(self, path: Path, now: Callable[[], float]) -> None:
        self.path, self._now = path, now
        self.attempts = self._attempts()

    def find(self, target: Target, sha256: str | None = None) -> Attempt | None:
        """Return the last attempt at a target, of this zip where its hash is given."""
        for attempt in reversed(self.attempts):
            same = all(
                attempt.values[name] == getattr(target, name)
                for name in ("server", "competition", "phase")
            )
            if same and sha256 in (None, attempt.values["zip"]["sha256"]):
                return attempt
        return None

    def begin(self, target: Target, file: ZipFile) -> Attempt:
        """Begin a new attempt."""
        what = {"name": file.path.name, "bytes": file.bytes, "sha256": file.sha256}
        values = {
            "server": target.server, "competition": target.competition, "phase": target.phase,
            "zip": what, "steps": {},
        }  # fmt: skip
        self.attempts.append(Attempt(self, len(self.attempts), values))
        self.save(len(self.attempts) - 1, values)
        return self.attempts[-1]

    def save(self, place: int, values: dict[str, Any]) -> None:
        """Write an attempt into its place in the file."""
        uploads = _read(self.path)
        uploads[place : place + 1] = [values]
        write_json(self.path, {"uploads": uploads})

    def time(self) -> str:
        """Return the time of now (UTC)."""
        return datetime.fromtimestamp(self._now(), UTC).isoformat(timespec="seconds")

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep a second command off the same journal, and read what was written until now.

        Raises InputError where one is at it.
        """
        with self.path.with_name(f".{self.path.name}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InputError(
                    f"{self.path}: another command is uploading from here; wait for it, or look "
                    "with --status"
                ) from None
            except OSError:  # a share that knows no locks: what the server has is looked for, too
                pass
            self.attempts = self._attempts()
            yield

    def _attempts(self) -> list[Attempt]:
        return [Attempt(self, place, values) for place, values in enumerate(_read(self.path))]


def read_zip(path: Path) -> ZipFile:
    """Return a zip with its hashes. Raises InputError where there is none, or an empty one."""
    if not path.is_file():
        raise InputError(f"{path}: no such zip; make one with: mevis-submission submit")
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(READ_AT_ONCE):
            sha256.update(block)
            md5.update(block)
        size = file.tell()
    if size == 0:
        raise InputError(f"{path}: it is empty; make it again with: mevis-submission pack")
    return ZipFile(path, size, sha256.hexdigest(), md5.hexdigest())


def _read(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    try:
        uploads = list(read_json(path)["uploads"])
        for one in uploads:
            one["server"], one["competition"], one["phase"], one["zip"]["sha256"], one["steps"]
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path}: damaged ({error!r}). It says what was submitted: mend it, or move it away "
            "and look at your submissions on the server before you upload again"
        ) from None
    return uploads
