"""Build the image from a checkout, with the engine's own words as they come.

The Docker API has no BuildKit; the Dockerfile therefore does without its instructions.
"""

import re
import subprocess
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from docker.errors import APIError, DockerException

from submission import __version__
from submission.code_digest import code_revision
from submission.errors import InputError

CHECKOUT = Path(__file__).parents[2]  # where this code lies, when it was not installed elsewhere
TARGET = "submission"  # the stage of the Dockerfile: everything but weights
LINES_KEPT = 20  # of the engine's output, for the message when a build fails

Torch = Literal["cuda", "cuda12", "cpu"]
# The base states CUDA 13, and NVIDIA's container toolkit refuses an older driver by it.
CUDA_12 = "cuda>=12.0"


@dataclass(frozen=True)
class ImageBuild:
    """What to build and from what."""

    source: Path  # a checkout of the project
    image: str
    torch: Torch = "cuda"
    torch_index: str | None = None  # where the CPU build is, when pip.conf names no place
    base: str | None = None  # another base image of the same kind, and
    python: str | None = None  # its Python, such as "3.11"
    network: str | None = None  # "host" where the engine has no network of its own

    def arguments(self) -> dict[str, str]:
        """Return the build arguments of the Dockerfile."""
        arguments = {
            "LOCK": self.torch,
            "REVISION": code_revision(self.source),
            "VERSION": __version__,
            "SOURCE": public_address(self.source),
        }
        if self.torch == "cuda12":
            arguments["CUDA_NEEDED"] = CUDA_12
        if self.torch_index:
            arguments["TORCH_INDEX"] = self.torch_index
        if self.base:
            arguments["BASE_IMAGE"] = self.base
        if self.python:
            arguments["PYTHON_VERSION"] = self.python
        return arguments


def build(client: Any, what: ImageBuild, on_line: Callable[[str], None]) -> str:
    """Build the image, telling `on_line` what the engine says; return the image's id.

    Raises InputError when `what.source` is no checkout and when the build fails.
    """
    if not (what.source / "Dockerfile").is_file():
        raise InputError(
            f"{what.source}: no Dockerfile: an image is built from a checkout of the project; "
            "name one with --source DIR"
        )
    last: deque[str] = deque(maxlen=LINES_KEPT)
    lines = _Lines()
    try:
        chunks = client.api.build(
            path=str(what.source), tag=what.image, target=TARGET, buildargs=what.arguments(),
            network_mode=what.network, rm=True, forcerm=True, decode=True,
        )  # fmt: skip
        for chunk in chunks:
            if "error" in chunk:
                raise _failed(what, last, chunk["error"])
            for line in lines.add(chunk):
                last.append(line)
                on_line(line)
        return str(client.images.get(what.image).id)
    except (APIError, DockerException, TypeError) as error:
        raise _failed(what, last, str(error)) from error


def public_address(checkout: Path) -> str:
    """The address the checkout came from, without name or token; "" when it is not a public one."""
    try:
        asked = subprocess.run(
            ["git", "remote", "get-url", "origin"], cwd=checkout, capture_output=True, text=True,
            timeout=10, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    address = urlsplit(asked.stdout.strip())
    if address.scheme != "https" or not address.hostname:
        return ""
    return f"https://{address.netloc.rpartition('@')[2]}{address.path}"


class _Lines:
    """Puts the pieces of an engine's stream together to lines, without progress of downloads."""

    def __init__(self) -> None:
        self._begun = ""

    def add(self, chunk: dict[str, Any]) -> list[str]:
        """Return the lines that `chunk` completes."""
        if "status" in chunk and not chunk.get("progressDetail"):
            return [" ".join(filter(None, (chunk["status"], chunk.get("id"))))]
        *lines, self._begun = re.split(r"[\r\n]+", self._begun + chunk.get("stream", ""))
        return [line for line in lines if line]


def _failed(what: ImageBuild, last: deque[str], error: str) -> InputError:
    said = "\n".join(f"  {line}" for line in last)
    return InputError(
        f"The image {what.image} was not built: {error.strip()}\n{said}\n"
        "Mend what the last lines name, and build again: finished steps are kept."
    )
