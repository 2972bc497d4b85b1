"""Run inside the container: say what it could do and must not; exit status 1 when there is any.

Standard library only. scripts/container/prove.sh runs it hardened, where it must find nothing, and
once without hardening, where it must find something.
"""

import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

READ_ONLY = ("/", "/opt/mevis", "/opt/venv", "/data", "/weights")
WRITABLE = ("/tmp", "/runs")


def faults() -> Iterator[str]:
    yield from (f"{folder} can be written to" for folder in READ_ONLY if _can_write(folder))
    yield from (f"{folder} cannot be written to" for folder in WRITABLE if not _can_write(folder))
    if interfaces := {name for _, name in socket.if_nameindex()} - {"lo"}:
        yield f"there is a network: {', '.join(sorted(interfaces))}"
    status = dict(
        line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines()
    )
    for kind in ("CapEff", "CapPrm", "CapBnd"):
        if int(status[kind], 16):
            yield f"there are capabilities: {kind} is {status[kind]}"
    if status["NoNewPrivs"] != "1":
        yield "a set-user-id program could gain privileges"
    if os.getuid() == 0:
        yield "the user is root"


def _can_write(folder: str) -> bool:
    probe = Path(folder) / ".probe"
    try:
        probe.write_bytes(b"")
    except OSError:
        return False
    probe.unlink()
    return True


found = list(faults())
print("\n".join(found) or "confined")
sys.exit(bool(found))
