"""Name the installed packages that the kit does not need to run, one a line.

    python only_for_development.py pyproject.toml

The locks hold what runs the kit and what develops it; the image keeps the first only. Needed is
what `dependencies` and the extra `ray` name and what those packages ask for in turn, on this system
and this Python.
"""

import re
import sys
import tomllib
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, distributions, requires
from pathlib import Path

from packaging.requirements import Requirement

# torch's extension loader and pkg_resources-style plugins look for it without asking.
ALSO_KEPT = ["setuptools"]


def needed(requirements: Iterable[str]) -> set[str]:
    """The normalised names of `requirements` and of all that they ask for, if installed or not."""
    seen: set[tuple[str, frozenset[str]]] = set()
    waiting = [Requirement(text) for text in requirements]
    while waiting:
        requirement = waiting.pop()
        key = (normal(requirement.name), frozenset(requirement.extras))
        if key in seen:
            continue
        seen.add(key)
        waiting += asked_for(requirement)
    return {name for name, _ in seen}


def asked_for(requirement: Requirement) -> list[Requirement]:
    """What an installed package asks for on this system, with the extras that were named."""
    try:
        lines = requires(requirement.name) or []
    except PackageNotFoundError:
        return []  # left out on purpose, as torchvision is
    below = [Requirement(line) for line in lines]
    extras = ["", *requirement.extras]
    return [
        one for one in below
        if one.marker is None or any(one.marker.evaluate({"extra": extra}) for extra in extras)
    ]  # fmt: skip


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    project = tomllib.loads(Path(sys.argv[1]).read_text())["project"]
    installed = {normal(one.metadata["Name"]) for one in distributions()}
    runs = [*project["dependencies"], *project["optional-dependencies"]["ray"], *ALSO_KEPT]
    print("\n".join(sorted(installed - needed(runs))))
