"""scripts/setup.sh on machines that lack something, with a pretended Python and driver."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = (ROOT / "pyproject.toml").read_text()

# Answers like Python {version}; `-m venv` copies it, `-m pip` writes down what it was asked.
PYTHON = """#!/bin/bash
case "$*" in
    "-c import sys"*) echo {version} ;;
    "-c import ensurepip"*) {venv} ;;
    "-m venv"*) place=${{@: -1}}
        {venv} && [ ! -L "$place" ] && mkdir -p "$place/bin" && cp "$0" "$place/bin/python" ;;
    "-m pip"*) echo "$*" >>asked
        [[ "$*" != *"{missing}"* || "$*" == *--extra-index-url* ]] || {{
            echo "ERROR: Could not find a version that satisfies the requirement"; exit 1; }} ;;
esac
"""


class Machine:
    """A copy of the project's set-up in a folder of its own, and programs to pretend."""

    def __init__(self, folder: Path) -> None:
        self.project = folder / "project"
        self.programs = folder / "bin"
        self.programs.mkdir()
        (self.project / "scripts").mkdir(parents=True)
        shutil.copy(ROOT / "scripts/setup.sh", self.project / "scripts")
        shutil.copytree(ROOT / "requirements", self.project / "requirements")
        shutil.copy(ROOT / "pyproject.toml", self.project)
        for name in ("python3", *(f"python3.{minor}" for minor in range(9, 16)), "nvidia-smi"):
            self.pretend(name, "#!/bin/bash\nexit 127\n")

    def pretend(self, name: str, script: str) -> None:
        (self.programs / name).write_text(script)
        (self.programs / name).chmod(0o755)

    def pretend_python(self, name="python3", version="3.11", venv="true", missing="nothing"):
        self.pretend(name, PYTHON.format(version=version, venv=venv, missing=missing))

    def set_up(self, **variables: str) -> subprocess.CompletedProcess:
        """Run the set-up as `make` does."""
        environment = {"PATH": f"{self.programs}:/usr/bin:/bin", "HOME": os.devnull, **variables}
        command = ["bash", "scripts/setup.sh"]
        return subprocess.run(
            command, cwd=self.project, env=environment, capture_output=True, text=True
        )

    def asked_of_pip(self) -> str:
        asked = self.project / "asked"
        return asked.read_text() if asked.exists() else ""


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def test_without_a_fitting_python_it_says_what_to_install(machine):
    machine.pretend_python(version="3.10")
    done = machine.set_up()
    assert done.returncode == 2
    assert "python3 is 3.10" in done.stderr
    assert "Python 3.11 to 3.14 is needed" in done.stderr
    assert "apt install python3 python3-venv" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (machine.project / ".venv").exists()


def test_every_python_that_the_package_takes_is_found_and_no_other(machine):
    (wanted,) = re.findall(r'requires-python = ">=3\.(\d+),<3\.(\d+)"', PROJECT)
    for minor in range(9, 18):
        shutil.rmtree(machine.project / ".venv", ignore_errors=True)
        machine.pretend_python(f"python3.{minor}", version=f"3.{minor}")
        taken = machine.set_up().returncode == 0
        assert taken == (minor in range(*map(int, wanted))), minor
        assert taken == (f"Python :: 3.{minor}" in PROJECT), minor
        (machine.programs / f"python3.{minor}").unlink()


def test_without_the_venv_module_it_says_what_to_install(machine):
    machine.pretend_python(version="3.12", venv="false")
    done = machine.set_up()
    assert done.returncode == 2
    assert "apt install python3.12-venv" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_second_call_does_nothing_and_says_nothing(machine):
    machine.pretend_python()
    assert machine.set_up().returncode == 0
    asked = machine.asked_of_pip()
    again = machine.set_up()
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    assert machine.asked_of_pip() == asked


def test_the_environment_may_lie_on_another_disk_behind_a_link(machine, tmp_path):
    machine.pretend_python()
    (machine.project / ".venv").symlink_to(tmp_path / "scratch/venv")
    assert machine.set_up().returncode == 0
    assert (tmp_path / "scratch/venv/bin/python").exists()
    assert (machine.set_up().returncode, machine.set_up().stdout) == (0, "")


def test_a_changed_lock_sets_up_anew_and_a_changed_project_only_the_package(machine):
    machine.pretend_python()
    machine.set_up()
    before = machine.asked_of_pip()
    with (machine.project / "pyproject.toml").open("a") as file:
        file.write("\n")
    machine.set_up()
    package_only = machine.asked_of_pip().removeprefix(before)
    assert package_only.endswith("-e .\n")
    assert package_only.count("\n") == 1
    with (machine.project / "requirements/cpu.txt").open("a") as file:
        file.write("\n")
    machine.set_up()
    assert machine.asked_of_pip() == before + package_only + before


def test_a_failed_step_names_the_log_and_the_next_call_begins_again(machine):
    machine.pretend_python(missing="cpu.txt")
    failed = machine.set_up()
    assert failed.returncode == 1
    assert "locked packages (cpu)" in failed.stderr
    assert str(machine.project / ".cache/setup.log") in failed.stderr
    machine.pretend_python()
    assert "Set-up done" in machine.set_up().stdout


def test_the_cpu_build_of_torch_is_looked_for_elsewhere_only_when_pip_finds_none(machine):
    machine.pretend_python()
    machine.set_up()
    assert "--extra-index-url" not in machine.asked_of_pip()
    shutil.rmtree(machine.project / ".venv")
    machine.pretend_python(missing="torch-cpu.txt")
    machine.set_up(TORCH_INDEX="https://mirror.invalid/cpu")
    assert "torch-cpu.txt --extra-index-url https://mirror.invalid/cpu" in machine.asked_of_pip()


@pytest.mark.parametrize(
    ("driver", "gpus", "lock", "warns"),
    [
        ("580.82.07", "9.0\\n12.0", "cuda", False),
        ("580.82.07", "8.0\\n7.0", "cuda12", False),  # a V100 among them
        ("535.183.01", "9.0", "cuda12", False),
        ("470.9", "", "cuda12", True),
    ],
)
def test_an_nvidia_driver_and_its_gpus_choose_the_cuda_and_an_old_one_is_named(
    machine, driver, gpus, lock, warns
):
    machine.pretend_python(version="3.12")
    machine.pretend(
        "nvidia-smi",
        f'#!/bin/bash\ncase $1 in *driver*) printf "{driver}\\n{driver}\\n" ;;'
        f' *) printf "{gpus}\\n" ;; esac\n',
    )
    done = machine.set_up()
    assert done.returncode == 0
    assert f"requirements/{lock}.txt" in machine.asked_of_pip()
    assert "torch-cpu.txt" not in machine.asked_of_pip()
    assert (f"driver is {driver}, and CUDA 12 needs 525" in done.stderr) == warns


def test_torch_cpu_asked_for_by_name_wins_over_a_driver(machine):
    machine.pretend_python()
    machine.pretend("nvidia-smi", "#!/bin/bash\necho 580.82.07\n")
    machine.set_up(TORCH="cpu")
    assert "cuda.txt" not in machine.asked_of_pip()
    wrong = machine.set_up(TORCH="rocm")
    assert wrong.returncode == 2
    assert "neither cpu nor cuda" in wrong.stderr
