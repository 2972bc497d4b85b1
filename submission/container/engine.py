"""Reach a container engine: Docker, or Podman behind the same API."""

import os
from typing import Any

import docker
from docker.errors import APIError, DockerException

from submission.errors import InputError

SECONDS_TO_ANSWER = 600  # committing a layer of gigabytes keeps an engine silent for minutes


def connect() -> Any:
    """Return a client of the engine that DOCKER_HOST names, else of this machine's Docker.

    Raises InputError when none answers.
    """
    try:
        client = docker.from_env(timeout=SECONDS_TO_ANSWER)
        client.ping()
    except (DockerException, OSError) as error:
        place = os.environ.get("DOCKER_HOST") or "Docker's usual place"
        raise InputError(
            f"No container engine answers at {place}: {_reason(error)}\n"
            "Start Docker ('sudo systemctl start docker'), or Podman's service ('podman system "
            "service --time=0 unix:///tmp/podman.sock') with DOCKER_HOST=unix:///tmp/podman.sock."
        ) from error
    return client


def is_rootless(client: Any) -> bool:
    """Whether the engine belongs to an ordinary user, who is then root inside its containers."""
    return any("rootless" in option for option in client.info().get("SecurityOptions") or ())


def explain(error: APIError, image: str) -> InputError:
    """Turn an engine's refusal to start a container into a sentence with the next command."""
    said = str(error.explanation or error)
    if "No such image" in said or "no such image" in said or "image not known" in said:
        return InputError(f"There is no image {image!r} on this machine: run 'make image' first.")
    if "could not select device driver" in said or "unresolvable CDI devices" in said:
        return InputError(
            "The engine cannot hand GPUs on to containers: install NVIDIA's container toolkit "
            "(package nvidia-container-toolkit), run 'sudo nvidia-ctk runtime configure "
            "--runtime=docker' and 'sudo systemctl restart docker', or say --gpus none."
        )
    return InputError(f"The engine refused to run {image}: {said}")


def _reason(error: BaseException) -> str:
    """What the system said at the bottom of a chain of exceptions, else the first line on top."""
    said = str(error).strip().partition("\n")[0]
    below: BaseException | None = error
    while below is not None:
        if isinstance(below, OSError) and below.strerror:
            said = below.strerror
        below = below.__cause__ or below.__context__
    return said
