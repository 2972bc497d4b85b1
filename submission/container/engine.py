"""Reach a container engine: Docker, or Podman behind the same API."""

import os
from pathlib import Path
from typing import Any

import docker
from docker.errors import APIError, DockerException, ImageNotFound

from submission.errors import InputError

SECONDS_TO_ANSWER = 600  # committing a layer of gigabytes keeps an engine silent for minutes
MARKS_OF_A_CONTAINER = (Path("/.dockerenv"), Path("/run/.containerenv"))  # Docker's and Podman's


def connect() -> Any:
    """Return a client of the engine that DOCKER_HOST names, else of this machine's Docker.

    Raises InputError when none answers.
    """
    try:
        client = docker.from_env(timeout=SECONDS_TO_ANSWER)
        client.ping()
    except (DockerException, OSError) as error:
        place = os.environ.get("DOCKER_HOST") or "Docker's usual place"
        inside = any(mark.exists() for mark in MARKS_OF_A_CONTAINER)
        raise InputError(
            f"No container engine answers at {place}: {_reason(error)}\n"
            "Start Docker ('sudo systemctl start docker'), or Podman's service ('podman system "
            "service --time=0 unix:///tmp/podman.sock') with DOCKER_HOST=unix:///tmp/podman.sock."
            + (
                " The kit itself runs in a container here: call it outside, where the engine is."
                if inside
                else ""
            )
        ) from error
    return client


def find_image(client: Any, name: str) -> Any:
    """Return the engine's record of an image; raise InputError, with the next command, for none."""
    try:
        return client.images.get(name)
    except ImageNotFound:
        fetch = f"'docker pull {name}' (or 'podman pull {name}')"
        advice = "'docker load' its file, or build it" if name.startswith("sha256:") else fetch
        raise InputError(
            f"there is no image {name} on this machine, and a run downloads none: {advice} first"
        ) from None
    except (APIError, DockerException) as error:
        raise InputError(f"the engine does not say whether it has {name}: {error}") from error


def digest_of(image: Any, name: str) -> str:
    """Return what pins an image that is called `name`: its digest in that registry, else its id.

    One that was built here and never pushed has no digest in a registry.
    """
    last = name.rpartition("/")[2]
    repository = name.removesuffix(":" + last.partition(":")[2]) if ":" in last else name
    for found in image.attrs.get("RepoDigests") or ():
        where, _, digest = found.partition("@")
        if where == repository or where.endswith(f"/{repository}"):
            return str(digest)
    return str(image.id) if str(image.id).startswith("sha256:") else f"sha256:{image.id}"


def version_of(client: Any) -> str:
    """Name the engine and its version, such as "Podman Engine 4.3.1"."""
    told = client.version()
    parts = told.get("Components") or [{"Name": "Docker", "Version": told.get("Version", "")}]
    return f"{parts[0].get('Name', 'engine')} {parts[0].get('Version', '')}".strip()


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
            "--runtime=docker' and 'sudo systemctl restart docker', or ask for none (--gpus none; "
            'gpus = "none" in a recipe).'
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
