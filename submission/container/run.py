"""Run the kit in a container that may read data and weights, write results, and do nothing else."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from docker.errors import APIError

from submission.container.engine import explain
from submission.container.hardening import TEMPORARY, hardened, mount_faults, user_for
from submission.errors import Fault, FaultyInput

SECONDS_TO_STOP = 60  # a video that is under way is given up at once; a killed one costs no more
HUB_INSIDE = "/hub"
LOCK_INSIDE = "/opt/mevis/submission/weights/weights.lock"
# Places of the image's own; what a recipe names must not cover them.
OF_THE_IMAGE = ("/bin", "/dev", "/etc", "/lib", "/lib64", "/opt", "/proc", "/sbin", "/sys", "/usr")

OnOutput = Callable[[bytes | None, bytes | None], None]  # standard output, standard error


@dataclass(frozen=True)
class ContainerRun:
    """One call of the command line in a container, and the folders it sees."""

    image: str
    words: tuple[str, ...]
    runs: Path  # at /runs; made when it is not there
    data: Path | None = None  # at /data, read-only
    weights: Path | None = None  # at /weights, read-only
    hub: Path | None = None  # the Hugging Face cache, at /hub, read-only
    lock: Path | None = None  # in place of the lock that was baked in, read-only
    named: tuple[Path, ...] = ()  # the recipe, and what it names: at their own places
    gpus: str = "none"  # "none", "all", a number, or "device=1,2"
    user: str | None = None  # "UID:GID"; the results belong to it
    threads: str | None = None  # OMP_NUM_THREADS
    memory: int | None = None  # bytes; None: all but a little of this machine's
    temporary: str = TEMPORARY  # size of /tmp
    entrypoint: str | None = None  # another program of the image than the kit

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
        for path in self._named_outside():
            if not path.exists():
                faults.append(Fault(str(path), "no such file or folder; the recipe names it"))
            elif _place(path).startswith(tuple(f"{own}/" for own in OF_THE_IMAGE)):
                faults.append(
                    Fault(str(path), "it would cover a place of the image: move it elsewhere")
                )
        return faults + mount_faults(Path(outside) for outside, _ in self.mounts().values())

    def refuse_faults(self) -> None:
        """Raise FaultyInput where something is wrong with the folders."""
        if faults := self.faults():
            raise FaultyInput("The container would not see what it needs:", faults)

    def mounts(self) -> dict[str, tuple[str, str]]:
        """Place inside to (path outside, "ro" or "rw")."""
        mounts = {"/runs": (str(self.runs.resolve()), "rw")}
        folders = (("/data", self.data), ("/weights", self.weights), (HUB_INSIDE, self.hub))
        for name, folder in folders:
            if folder is not None:
                mounts[name] = (str(folder.resolve()), "ro")
        if self.lock is not None:
            mounts[LOCK_INSIDE] = (str(self.lock.resolve()), "ro")
        for path in self._named_outside():
            mounts[_place(path)] = (str(path.resolve()), "ro")
        return mounts

    def _named_outside(self) -> list[Path]:
        """What is named, less the places below a folder that this container sees anyway.

        A recipe that was written for the container names `/weights/small-5`: that is a place in the
        folder mounted at /weights, whatever this machine may have of the same name.
        """
        seen = ["/runs/"]
        seen += ["/data/"] if self.data else []
        seen += ["/weights/"] if self.weights else []
        return [path for path in self.named if not f"{_place(path)}/".startswith(tuple(seen))]

    def options(self) -> dict[str, Any]:
        """Return the keyword arguments of the Docker SDK's `containers.create`.

        Raises InputError when `gpus` is no choice of GPUs.
        """
        volumes = [
            f"{outside}:{inside}:{mode}" for inside, (outside, mode) in self.mounts().items()
        ]
        confined = hardened(
            self.user or f"{os.getuid()}:{os.getgid()}", memory=self.memory,
            temporary=self.temporary, gpus=self.gpus,
        )  # fmt: skip
        return {
            "image": self.image,
            "command": list(self.words),
            **confined,
            "volumes": volumes,
            "environment": {
                **({"OMP_NUM_THREADS": self.threads} if self.threads else {}),
                **({"HF_HUB_CACHE": HUB_INSIDE} if self.hub else {}),
            },
            **({"entrypoint": self.entrypoint} if self.entrypoint else {}),
        }


def run(client: Any, what: ContainerRun, on_output: OnOutput) -> int:
    """Run the container to its end, handing on what it prints; return its exit status.

    A KeyboardInterrupt stops the container as Ctrl-C would, and is raised again. Raises FaultyInput
    for missing folders, and InputError when the engine cannot start the container.
    """
    what.refuse_faults()
    options = settled(client, what).options()
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


def settled(client: Any, what: ContainerRun) -> ContainerRun:
    """Return the run with a folder for its results, made where it is not, and their owner."""
    is_new = not what.runs.exists()
    what.options()  # raises before anything is made
    what.runs.mkdir(parents=True, exist_ok=True)  # else the engine makes it, as root
    return replace(what, user=what.user or user_for(client, what.runs, is_new=is_new))


def docker_command(what: ContainerRun) -> list[str]:
    """Return the words of `docker run` that do the same, to be read and copied.

    Raises InputError as `ContainerRun.options`.
    """
    options = what.options()
    temporary = [f"{place}:{size}" for place, size in options["tmpfs"].items()]
    words = [
        "docker", "run", "--rm", "--network", options["network_mode"], "--read-only",
        "--tmpfs", *temporary,
        "--cap-drop", *options["cap_drop"], "--security-opt", *options["security_opt"],
        "--pids-limit", str(options["pids_limit"]), "--memory", str(options["mem_limit"]),
        "--user", options["user"],
    ]  # fmt: skip
    if what.gpus != "none":
        words += ["--gpus", f'"{what.gpus}"' if "," in what.gpus else what.gpus]
    for name, value in options["environment"].items():
        words += ["--env", f"{name}={value}"]
    for volume in options["volumes"]:
        words += ["--volume", volume]
    if what.entrypoint:
        words += ["--entrypoint", what.entrypoint]
    return [*words, what.image, *what.words]


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


def _place(path: Path) -> str:
    """Where a path of the host is in the container: at the same place, without `..` in it."""
    return os.path.normpath(path.absolute())
