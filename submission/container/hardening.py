"""What every container that is started here may do: read, write to one folder, and nothing else."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from docker.types import DeviceRequest

from submission.container.engine import is_rootless
from submission.errors import Fault, InputError

PROCESSES = 4096  # threads of torch and of decoding included
ALL_GPUS = -1  # the API's word for "all"
LEFT_TO_THE_HOST = 2 * 2**30  # bytes of memory
TEMPORARY = "8g"  # size of /tmp, which lies in memory; as engines write it
STRANGER = 10001  # user and group for a caller who is root: nothing runs as root


def hardened(
    user: str, *, memory: int | None = None, temporary: str = TEMPORARY, gpus: str = "none"
) -> dict[str, Any]:
    """Return the keyword arguments of the Docker SDK's `containers.create` that confine it.

    `memory` is in bytes, all but a little of this machine's without it. Raises InputError when
    `gpus` is no choice of GPUs.
    """
    return {
        "network_mode": "none",
        "read_only": True,
        "tmpfs": {"/tmp": f"size={temporary}"},
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "pids_limit": PROCESSES,
        "mem_limit": memory or _memory_of_this_machine() - LEFT_TO_THE_HOST,
        "user": user,
        "device_requests": request_gpus(gpus),
    }


def request_gpus(gpus: str) -> list[DeviceRequest]:
    """GPUs as `docker run --gpus` understands them: none, all, a number, or device=1,2."""
    if gpus == "none":
        return []
    kind = [["gpu"]]
    if gpus == "all" or (gpus.isdecimal() and int(gpus)):
        return [DeviceRequest(count=ALL_GPUS if gpus == "all" else int(gpus), capabilities=kind)]
    word, _, devices = gpus.partition("=")
    if word == "device" and devices:
        return [DeviceRequest(device_ids=devices.split(","), capabilities=kind)]
    raise InputError(f"GPUs {gpus!r}: say none, all, a number such as 2, or device=0,1")


def mount_faults(paths: Iterable[Path]) -> list[Fault]:
    """Say which folders no engine can mount: it takes what follows a colon for another place."""
    places = dict.fromkeys(str(path.resolve()) for path in paths)
    what = "a container cannot see a place with a colon in its name: rename it, or name another"
    return [Fault(place, what) for place in places if ":" in place]


def user_for(client: Any, folder: Path, *, is_new: bool) -> str:
    """Whom results in a folder belong to: the caller, but nothing runs as root in root's engine.

    A folder that `is_new` is given away where that is needed; another one is refused then.
    """
    if is_rootless(client):
        return "0:0"  # root inside is the caller outside
    if os.getuid():
        return f"{os.getuid()}:{os.getgid()}"
    owner = folder.stat()
    if owner.st_uid:
        return f"{owner.st_uid}:{owner.st_gid}"
    if not is_new and any(folder.iterdir()):
        raise InputError(
            f"{folder} belongs to root, and nothing runs as root in a container: "
            f"run 'chown -R {STRANGER}:{STRANGER} {folder}', or name a user with --user UID:GID"
        )
    os.chown(folder, STRANGER, STRANGER)
    return f"{STRANGER}:{STRANGER}"


def _memory_of_this_machine() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
