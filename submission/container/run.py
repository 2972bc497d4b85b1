"""Run the kit in a container that may read data and weights, write results, and do nothing else."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docker.errors import APIError
from docker.types import DeviceRequest

from submission.container.engine import explain, is_rootless
from submission.errors import Fault, FaultyInput

SECONDS_TO_STOP = 60  # a video that is under way is given up at once; a killed one costs no more
PROCESSES = 4096  # threads of torch and of decoding included
ALL_GPUS = -1  # the API's word for "all"

OnOutput = Callable[[bytes | None, bytes | None], None]  # standard output, standard error


@dataclass(frozen=True)
class ContainerRun:
    """One call of the command line in a container, and the folders it sees."""

    image: str
    words: tuple[str, ...]
    runs: Path  # at /runs; made when it is not there
    data: Path | None = None  # at /data, read-only
    weights: Path | None = None  # at /weights, read-only
    gpus: bool = False
    user: str | None = None  # "UID:GID"; the results belong to it
    threads: str | None = None  # OMP_NUM_THREADS

    def faults(self) -> list[Fault]:
        """What is wrong with the folders, before an engine would make or hide them."""
        folders = {"data": self.data, "weights": self.weights}
        faults = [
            Fault(str(folder), f"no such folder; it would be /{name} in the container")
            for name, folder in folders.items()
            if folder is not None and not folder.is_dir()
        ]
        if self.runs.exists() and not self.runs.is_dir():
            faults.append(Fault(str(self.runs), "not a folder; the results would go there"))
        return faults

    def options(self) -> dict[str, Any]:
        """Return the keyword arguments of the Docker SDK's `containers.create`."""
        volumes = {str(self.runs.resolve()): {"bind": "/runs", "mode": "rw"}}
        for name, folder in (("data", self.data), ("weights", self.weights)):
            if folder is not None:
                volumes[str(folder.resolve())] = {"bind": f"/{name}", "mode": "ro"}
        gpus = [DeviceRequest(count=ALL_GPUS, capabilities=[["gpu"]])] if self.gpus else []
        return {
            "image": self.image,
            "command": list(self.words),
            "network_mode": "none",
            "read_only": True,
            "tmpfs": {"/tmp": ""},
            "cap_drop": ["ALL"],
            "security_opt": ["no-new-privileges"],
            "pids_limit": PROCESSES,
            "user": self.user or f"{os.getuid()}:{os.getgid()}",
            "volumes": volumes,
            "environment": {"OMP_NUM_THREADS": self.threads} if self.threads else {},
            "device_requests": gpus,
        }


def run(client: Any, what: ContainerRun, on_output: OnOutput) -> int:
    """Run the container to its end, handing on what it prints; return its exit status.

    A KeyboardInterrupt stops the container as Ctrl-C would, and is raised again. Raises FaultyInput
    for missing folders, and InputError when the engine cannot start the container.
    """
    if faults := what.faults():
        raise FaultyInput("The container would not see what it needs:", faults)
    what.runs.mkdir(parents=True, exist_ok=True)  # else the engine makes it, as root
    options = what.options()
    if what.user is None and is_rootless(client):
        options["user"] = "0:0"  # root inside is the caller outside
    try:
        options["environment"]["MEVIS_IMAGE"] = client.images.get(what.image).id  # for run.json
        container = client.containers.create(**options)
    except APIError as error:
        raise explain(error, what.image) from error
    try:
        output = container.attach(stream=True, logs=True, demux=True)
        container.start()
        for standard_output, standard_error in output:
            on_output(standard_output, standard_error)
        return int(container.wait()["StatusCode"])
    except APIError as error:
        raise explain(error, what.image) from error
    except KeyboardInterrupt:
        container.stop(timeout=SECONDS_TO_STOP)
        raise
    finally:
        container.remove(force=True)


def print_output(standard_output: bytes | None, standard_error: bytes | None) -> None:
    """Hand a container's output on, each stream to its own."""
    for stream, content in ((sys.stdout, standard_output), (sys.stderr, standard_error)):
        if content:
            stream.buffer.write(content)
            stream.flush()


def driver_answers() -> bool:
    """Whether this machine has an NVIDIA driver that answers."""
    program = shutil.which("nvidia-smi")
    return program is not None and not subprocess.run([program], capture_output=True).returncode
