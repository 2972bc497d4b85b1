"""Ray for the length of a run: a local one of our own, or a running cluster that is joined.

Ray is imported here and in ray_crew.py, and only when workers are asked for.
"""

import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from submission.compute import Compute
from submission.counted import counted
from submission.device import num_gpus
from submission.errors import InputError
from submission.pool import num_cores

INSTALL = "pip install 'mevis-submission[ray]'"
CPU_CORES = 4  # of one worker without a GPU, where "auto" counts them
GPU_CORES = 1  # that a worker with a GPU reserves; what it uses is THREADS
THREADS = 4  # of a worker with a GPU, for what is not done on it
OBJECTS_BYTES = 100 << 20  # of Ray's store for large objects; answers are kilobytes
JOIN_WITHIN = 30.0  # seconds for the head of a cluster to answer; Ray alone would try for minutes
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True)
class Share:
    """What one worker reserves, and how many there are to be."""

    workers: int | None  # None: as many as the cluster has room for, now or later
    gpus: float
    cores: int
    threads: int

    def fitting(self, resources: "dict[str, float]") -> int:
        """How many workers have room in a cluster of these resources."""
        if self.gpus:
            return int(resources.get("GPU", 0) / self.gpus + 1e-6)
        return int(resources.get("CPU", 0)) // self.cores


def local_share(compute: Compute, gpus: int, cores: int) -> Share:
    """Divide this machine; raises InputError for more workers than its GPUs carry.

    `gpus` is how many of them the run may use, 0 for a run on CPUs.
    """
    if gpus:
        most = int(gpus / compute.gpus_per_worker + 1e-6)
        wanted = most if compute.workers == "auto" else compute.workers
        if wanted > most:
            raise InputError(
                f"workers = {wanted}, but {counted(gpus, 'GPU')} carry {most} with "
                f"gpus_per_worker = {compute.gpus_per_worker:g}: take fewer, or a smaller share "
                "for each where several models fit on one GPU"
            )
        return Share(wanted, compute.gpus_per_worker, GPU_CORES, _threads(THREADS))
    workers = max(1, cores // CPU_CORES) if compute.workers == "auto" else compute.workers
    return Share(workers, 0, 1, _threads(max(1, cores // workers)))


def cluster_share(compute: Compute, resources: "dict[str, float]") -> Share:
    """What workers on a cluster reserve; it may have less room than they want, and get more."""
    workers = None if compute.workers == "auto" else compute.workers
    on_gpus = compute.device == "cuda" or (compute.device == "auto" and resources.get("GPU", 0) > 0)
    if on_gpus:
        return Share(workers, compute.gpus_per_worker, GPU_CORES, _threads(THREADS))
    cores = CPU_CORES if workers is None else int(resources.get("CPU", 1)) // workers
    cores = max(1, cores)
    return Share(workers, 0, cores, _threads(cores))


def _threads(otherwise: int) -> int:
    """Threads of a worker: what the user set for all processes, or their share of the cores."""
    said = os.environ.get("OMP_NUM_THREADS", "")
    return int(said) if said.isdecimal() and int(said) else otherwise


def import_ray() -> Any:
    """Return the module; raise InputError where Ray is not installed."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent anywhere
    # Every worker is told its device: Ray need not hide GPUs from those on CPUs, nor warn of it.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
        import ray.exceptions
    except ImportError as error:
        raise InputError(
            f"several workers need Ray, which is not installed ({error}): {INSTALL}, or leave "
            "--workers and --ray out"
        ) from None
    logging.getLogger("ray").setLevel(logging.ERROR)
    return ray


@contextmanager
def open_ray(compute: Compute) -> Iterator[Share]:
    """Have Ray around a block: join the cluster that [compute] names, or start one here."""
    ray = import_ray()
    with _our_signals():
        share = _join(ray, compute) if compute.ray else _start(ray, compute)
    try:
        yield share
    finally:
        with _our_signals():
            ray.shutdown()


def _start(ray: Any, compute: Compute) -> Share:
    cores = num_cores()
    gpus = num_gpus() if compute.device != "cpu" else 0
    share = local_share(compute, gpus, cores)
    assert share.workers is not None
    try:
        ray.init(
            "local", num_cpus=max(cores, share.workers * share.cores), num_gpus=gpus,
            include_dashboard=False, object_store_memory=OBJECTS_BYTES, **_QUIET,
        )  # fmt: skip
    except (RuntimeError, ConnectionError, OSError) as error:
        raise InputError(
            f"Ray does not start on this machine ({_first_line(error)}): its logs are in "
            "/tmp/ray/session_latest/logs; without --workers it is not needed"
        ) from error
    return share


def _join(ray: Any, compute: Compute) -> Share:
    try:
        _reach(compute.ray)
        ray.init(compute.ray, **_QUIET)
    except (RuntimeError, ConnectionError, OSError, ValueError) as error:
        raise InputError(
            f"no Ray cluster could be joined at {compute.ray} ({_first_line(error)}): start one "
            "with `ray start --head`, look at `ray status`, or name its address with --ray "
            "HOST:6379 (docs/cluster.md)"
        ) from error
    return cluster_share(compute, dict(ray.cluster_resources()))


def _reach(address: str) -> None:
    """Wait until something answers at the head's address, where it is known; else OSError."""
    known = os.environ.get("RAY_ADDRESS", "") if address == "auto" else address
    host, colon, port = known.rpartition("://")[2].rpartition(":")
    if not (colon and port.isdecimal()):
        return
    until = time.monotonic() + JOIN_WITHIN
    while True:
        try:
            socket.create_connection((host, int(port)), timeout=JOIN_WITHIN).close()
            return
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(1.0)


_QUIET = {"log_to_driver": False, "configure_logging": False, "logging_level": "ERROR"}


@contextmanager
def _our_signals() -> Iterator[None]:
    """Keep what Ctrl-C and SIGTERM mean to the kit: Ray sets handlers of its own."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
