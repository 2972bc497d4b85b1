"""scripts/container/image.sh with a pretended engine; its run is that of the Docker SDK."""

import os
import shlex
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

from submission import __version__
from submission.container.run import ContainerRun

ROOT = Path(__file__).parents[2]
UNSET = ("DATA", "MEVIS_WEIGHTS", "RUN", "RECIPE", "SPLIT", "TORCH", "OMP_NUM_THREADS")

# Says that it is there; anything else it is asked for is left to the line that image.sh prints.
ENGINE = """#!/bin/sh
[ "$1" = info ] || exit 0
[ $# -eq 1 ] || echo {info}
"""


class Machine:
    """A PATH on which engines and the driver are pretended."""

    def __init__(self, folder: Path) -> None:
        self.programs = folder / "bin"
        self.programs.mkdir()
        self.home = folder / "home"
        for name in ("docker", "podman", "nvidia-smi"):
            self.pretend(name, "#!/bin/sh\nexit 1\n")

    def pretend(self, name: str, script: str) -> None:
        (self.programs / name).write_text(script)
        (self.programs / name).chmod(0o755)

    def call(self, *words: str, **variables: object) -> subprocess.CompletedProcess:
        environment = {key: value for key, value in os.environ.items() if key not in UNSET}
        environment |= {"PATH": f"{self.programs}:/usr/bin:/bin", "HOME": str(self.home)}
        environment |= {key: str(value) for key, value in variables.items()}
        command = ["bash", str(ROOT / "scripts/container/image.sh"), *words]
        return subprocess.run(command, env=environment, capture_output=True, text=True)

    def command(self, *words: str, **variables: object) -> list[str]:
        """The engine's command that is printed."""
        done = self.call(*words, **variables)
        assert done.returncode == 0, done.stderr
        (line,) = [line for line in done.stderr.splitlines() if line.startswith("$ ")]
        return shlex.split(line[2:])


@pytest.fixture
def machine(tmp_path):
    machine = Machine(tmp_path)
    machine.pretend("docker", ENGINE.format(info="[name=seccomp]"))
    return machine


def values(command: list[str], option: str) -> list[str]:
    """What follows each `option` in a command."""
    return [value for before, value in pairwise(command) if before == option]


# --- build ---------------------------------------------------------------------------------------
def test_build_names_the_lock_the_revision_and_the_version(machine):
    command = machine.command("build", TORCH="cpu", BASE_IMAGE="other:1", PYTHON_VERSION="3.11")
    arguments = dict(value.split("=", 1) for value in values(command, "--build-arg"))
    assert command[:4] == ["docker", "build", "--target", "submission"]
    assert arguments["LOCK"] == "cpu"
    assert (arguments["BASE_IMAGE"], arguments["PYTHON_VERSION"]) == ("other:1", "3.11")
    assert arguments["VERSION"] == __version__
    assert arguments["REVISION"]
    assert command[-1] == "."


def test_build_refuses_another_torch(machine):
    done = machine.call("build", TORCH="rocm")
    assert done.returncode == 2
    assert "neither cpu nor cuda" in done.stderr


# --- run -----------------------------------------------------------------------------------------
def test_run_mounts_what_is_named_and_says_the_places_inside(machine, tmp_path):
    (tmp_path / "mevis").mkdir()
    (tmp_path / "weights").mkdir()
    (tmp_path / "my.toml").touch()
    command = machine.command(
        "run", "submit", DATA=tmp_path / "mevis", MEVIS_WEIGHTS=tmp_path / "weights",
        RECIPE=tmp_path / "my.toml", RUN=tmp_path / "runs/mine", SPLIT="valid",
    )  # fmt: skip
    assert values(command, "--volume") == [
        f"{tmp_path}/runs:/runs",
        f"{tmp_path}/weights:/weights:ro",
        f"{tmp_path}/mevis:/data:ro",
        f"{tmp_path}/my.toml:/recipes/my.toml:ro",
    ]
    inside = command[command.index("mevis-submission") + 1 :]
    assert inside == [
        *("submit", "--run", "/runs/mine", "--data", "/data", "--split", "valid"),
        *("--recipe", "/recipes/my.toml"),
    ]
    assert (tmp_path / "runs").is_dir()


def test_run_is_as_confined_as_the_run_of_the_sdk(machine, tmp_path):
    (tmp_path / "data").mkdir()
    command = machine.command("run", "submit", DATA=tmp_path / "data", RUN=tmp_path / "runs/x")
    options = ContainerRun(
        "mevis-submission", ("submit",), tmp_path / "runs", data=tmp_path / "data"
    ).options()
    assert values(command, "--network") == [options["network_mode"]]
    assert ("--read-only" in command) == options["read_only"]
    assert values(command, "--tmpfs") == list(options["tmpfs"])
    assert values(command, "--cap-drop") == options["cap_drop"]
    assert values(command, "--security-opt") == options["security_opt"]
    assert values(command, "--pids-limit") == [str(options["pids_limit"])]
    assert values(command, "--user") == [options["user"]]
    mounts = {f"{path}:{to['bind']}:{to['mode']}" for path, to in options["volumes"].items()}
    assert set(values(command, "--volume")) == {mount.removesuffix(":rw") for mount in mounts}


@pytest.mark.parametrize("told", ["sha256:abc", "abc"], ids=["docker", "podman"])
def test_the_container_is_told_which_image_it_is(machine, tmp_path, told):
    inspect = f'[ "$1 $2" = "image inspect" ] && echo {told}\nexit 0\n'
    machine.pretend("docker", f"#!/bin/sh\n{inspect}")
    command = machine.command("run", "submit", RUN=tmp_path / "runs/x")
    assert "MEVIS_IMAGE=sha256:abc" in values(command, "--env")


def test_run_refuses_a_missing_folder_before_the_engine_makes_it(machine, tmp_path):
    done = machine.call("run", "submit", DATA=tmp_path / "typo", RUN=tmp_path / "runs/x")
    assert done.returncode == 2
    assert f"{tmp_path}/typo: no such folder; it would be /data" in done.stderr
    assert not (tmp_path / "typo").exists()


def test_run_asks_for_gpus_where_a_driver_answers_and_says_when_not(machine, tmp_path):
    without = machine.call("run", RUN=tmp_path / "x/y")
    assert "the CPU is used" in without.stderr
    assert "--gpus" not in without.stderr
    machine.pretend("nvidia-smi", "#!/bin/sh\n")
    assert values(machine.command("run", RUN=tmp_path / "x/y"), "--gpus") == ["all"]
    assert "--gpus" not in machine.command("run", RUN=tmp_path / "x/y", GPUS="none")


@pytest.mark.parametrize(("info", "user"), [("true", f"{os.getuid()}"), ("rootless", "0")])
def test_in_an_engine_of_an_ordinary_user_results_belong_to_that_user(
    machine, tmp_path, info, user
):
    machine.pretend("podman", ENGINE.format(info=info))
    command = machine.command("run", RUN=tmp_path / "x/y", ENGINE="podman", GPUS="all")
    assert values(command, "--user")[0].split(":")[0] == user
    assert values(command, "--device") == ["nvidia.com/gpu=all"]


def test_without_an_engine_it_says_what_to_do(machine):
    machine.pretend("docker", "#!/bin/sh\nexit 1\n")
    done = machine.call("run")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "No container engine answers (docker, podman)" in done.stderr
