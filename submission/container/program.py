"""Somebody else's image at work: started confined, followed to its end, its words in a log."""

import os
import platform
import re
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from docker.errors import APIError, DockerException

from submission.container.engine import explain
from submission.container.hardening import TEMPORARY, hardened, user_for
from submission.errors import InputError

LABEL = "mevis-submission.output"  # on a container: the folder that it writes to, and whose it is
SECONDS_TO_STOP = 10  # then it is killed: what it has finished is there
KILLED = 137  # what an engine reports after SIGKILL
NOT_ANSWERING = (DockerException, OSError)  # what the SDK raises when its engine is gone
TAIL_BYTES = 4000
TAIL_LINES = 12
_UNPRINTABLE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[^\x20-\x7e\u00a0-\U0010ffff\t]")


@dataclass(frozen=True)
class Program:
    """What is started, and all that it sees."""

    image: str  # its id: what runs is what was looked at
    output: Path  # at /output; the only folder that it may write to, beside /tmp in memory
    inputs: Mapping[str, Path]  # place inside -> folder, read-only
    command: tuple[str, ...] = ()  # in place of the image's own
    environment: Mapping[str, str] = field(default_factory=dict)
    gpus: str = "none"  # as `docker run --gpus` understands them
    memory: int | None = None  # bytes

    def options(self, user: str) -> dict[str, Any]:
        """Return the keyword arguments of the Docker SDK's `containers.create`."""
        volumes = [f"{outside.resolve()}:{inside}:ro" for inside, outside in self.inputs.items()]
        return {
            "image": self.image,
            **({"command": list(self.command)} if self.command else {}),
            **hardened(user, memory=self.memory, gpus=self.gpus),
            "shm_size": TEMPORARY,  # where the workers of a data loader meet
            "volumes": [*volumes, f"{self.output.resolve()}:/output:rw"],
            "environment": {"HOME": "/tmp", **self.environment},
            "labels": {LABEL: _owner_of(self.output)},
        }


def remove_left_behind(client: Any, output: Path) -> None:
    """Remove containers that write to a folder: their kit was killed, they were not.

    Raises InputError where the engine does not do it: what appears there may be of another image.
    """
    mine = {"label": f"{LABEL}={_owner_of(output)}"}
    try:
        for container in client.containers.list(all=True, filters=mine):
            container.remove(force=True)
    except NOT_ANSWERING as error:
        raise InputError(
            f"a container that was left behind may write to {output}, and the engine does not "
            f"remove it: {error}"
        ) from error


def _owner_of(output: Path) -> str:
    return f"{platform.node()}:{output.resolve()}"


class Running:
    """A container from its start to its removal; a thread follows what it prints."""

    def __init__(self, client: Any, program: Program, log: Path) -> None:
        """Start it; `log` begins anew. Raises InputError when the engine refuses."""
        self.log = log
        self.ended = threading.Event()
        self._status: int | None = None
        self._lost = ""  # why nobody knows how it ended
        self._container: Any = None
        try:
            remove_left_behind(client, program.output)
            user = user_for(client, program.output, is_new=True)
            self._container = client.containers.create(**program.options(user))
            output = self._container.attach(stream=True, logs=True)
            self._container.start()
        except NOT_ANSWERING as error:
            if self._container is not None:
                with suppress(*NOT_ANSWERING):
                    self._container.remove(force=True)
            if isinstance(error, APIError):
                raise explain(error, program.image) from error
            raise InputError(f"the engine does not answer any more: {error}") from error
        self._thread = threading.Thread(target=self._follow, args=(output,), daemon=True)
        self._thread.start()

    @property
    def name(self) -> str:
        """What the engine calls it, shortened."""
        return str(self._container.id)[:12]

    def _follow(self, output: Iterable[bytes]) -> None:
        try:
            with self.log.open("wb") as file:
                for chunk in output:
                    with suppress(OSError):  # a full disk stops the work where results are written
                        file.write(chunk)
                        file.flush()
            self._status = int(self._container.wait()["StatusCode"])
        except Exception as error:  # whatever ends this thread has to be told by the other one
            self._lost = f"its engine did not answer any more ({type(error).__name__}: {error})"
        finally:
            self.ended.set()

    def fault(self) -> str:
        """Say how it ended, "" for well; only after its end."""
        if self._lost or not self._status:
            return self._lost
        words = f"it ended with exit status {self._status}"
        # Engines do not all tell whether memory was the reason.
        killed = ": it was killed, most often because its memory is too small (memory_gb)"
        return words + killed * (self._status == KILLED)

    def last_lines(self) -> list[str]:
        """Return the end of what it printed, without what would change a terminal."""
        try:
            with self.log.open("rb") as file:  # it may be larger than memory
                file.seek(-min(TAIL_BYTES, file.seek(0, os.SEEK_END)), os.SEEK_END)
                content = file.read(TAIL_BYTES)
        except OSError:
            return []
        lines = re.split(r"[\r\n]+", content.decode(errors="replace"))
        shown = [_UNPRINTABLE.sub("", line).rstrip() for line in lines]
        return [line for line in shown if line][-TAIL_LINES:]

    def stop(self) -> None:
        """End it, as the image says that it wants to be ended, and kill it where that is slow."""
        with suppress(*NOT_ANSWERING):
            self._container.stop(timeout=SECONDS_TO_STOP)
        self.ended.wait(SECONDS_TO_STOP)

    def remove(self) -> None:
        """Let nothing of it stay, however it ended."""
        with suppress(*NOT_ANSWERING):
            self._container.remove(force=True)
        self._thread.join(SECONDS_TO_STOP)
