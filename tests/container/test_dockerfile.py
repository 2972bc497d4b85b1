"""The Dockerfile: pinned, plain enough for every builder, fed with nothing but what it copies."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLAIN = {"ARG", "FROM", "RUN", "COPY", "WORKDIR", "ENV", "USER", "STOPSIGNAL", "ENTRYPOINT", "CMD",
         "LABEL"}  # fmt: skip


def instructions(text: str) -> list[tuple[str, str]]:
    """Keyword and rest of each instruction, comments left out and lines joined."""
    kept = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    lines = kept.replace("\\\n", " ").splitlines()
    words = (line.strip().partition(" ") for line in lines if line.strip())
    return [(word, rest.strip()) for word, _, rest in words]


@pytest.fixture(scope="module")
def dockerfile() -> list[tuple[str, str]]:
    return instructions((ROOT / "Dockerfile").read_text())


def test_the_base_is_pinned_by_tag_and_digest(dockerfile):
    (base,) = [rest for word, rest in dockerfile if word == "ARG" and rest.startswith("BASE_IMAGE")]
    assert re.fullmatch(r"BASE_IMAGE=[a-z./]+/cuda:[\w.-]+@sha256:[0-9a-f]{64}", base)
    sources = [rest.split()[0] for word, rest in dockerfile if word == "FROM"]
    assert set(sources) == {"${BASE_IMAGE}", "system", "libraries", "submission"}


def too_new(text: str) -> list[str]:
    """Instructions that a builder without BuildKit does not know."""
    return [
        f"{word} {rest}"
        for word, rest in instructions(text)
        if word not in PLAIN or re.match(r"--(mount|chmod|link|security|network)|<<", rest)
    ]


def test_every_builder_knows_the_instructions():
    assert too_new((ROOT / "Dockerfile").read_text()) == []


@pytest.mark.parametrize(
    "line", ["RUN --mount=type=cache,target=/c pip", "COPY --chmod=644 a b", "RUN <<E\nls\nE"]
)
def test_an_instruction_of_buildkit_is_noticed(line):
    assert too_new(f"FROM x\n{line}\n") != []


def test_whatever_is_copied_is_let_into_the_build_and_nothing_else(dockerfile):
    copied = {
        path.rstrip("/")
        for word, rest in dockerfile
        if word == "COPY" and not rest.startswith("--from")
        for path in rest.split()[:-1]
    }
    ignore = (ROOT / ".dockerignore").read_text().split("\n")
    assert "*" in ignore
    assert {line[1:] for line in ignore if line.startswith("!")} == copied
    assert [path for path in copied if not (ROOT / path).exists()] == []


def test_libraries_are_installed_from_hashed_locks_only(dockerfile):
    installs = [rest for word, rest in dockerfile if word == "RUN" and "pip install" in rest]
    assert len(installs) == 2
    for command in installs:
        assert "--no-deps --no-build-isolation" in command
        assert "--require-hashes" in command or "--no-index" in command


def test_only_what_develops_the_kit_is_taken_out():
    script = ROOT / "scripts/container/only_for_development.py"
    done = subprocess.run(
        [sys.executable, script, ROOT / "pyproject.toml"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    unneeded = set(done.stdout.split())
    assert {"mypy", "pytest", "ruff", "selenium", "pluggy"} <= unneeded
    assert not unneeded & {
        "torch",
        "numpy",
        "ray",
        "msgpack",
        "networkx",
        "docker",
        "requests",
        "setuptools",
    }


def test_the_build_folder_of_one_network_stays_out_of_git():
    local = ROOT / "scripts/container/local"
    asked = ["git", "check-ignore", "--quiet", "--no-index"]
    if subprocess.run(["git", "rev-parse"], cwd=ROOT, capture_output=True).returncode:
        pytest.skip("not a git checkout")
    assert subprocess.run([*asked, local / "pip.conf"], cwd=ROOT).returncode == 0
    assert subprocess.run([*asked, local / "README.md"], cwd=ROOT).returncode == 1
