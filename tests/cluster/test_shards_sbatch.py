"""The script for arrays of Slurm, with a program in place of Apptainer that tells its words."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from waiting import LIMIT

from submission.cli import main

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts/cluster/shards.sbatch"
# Understands the options of `apptainer run` that the script may use, and runs `program` then.
APPTAINER = """#!{python}
import json, os, sys
words = sys.argv[1:]
assert words.pop(0) == "run"
mounts, environment = {{}}, {{}}
while words[0].startswith("--"):
    option, equals, value = words.pop(0).partition("=")
    if option in ("--workdir", "--pwd", "--env"):
        value = words.pop(0)
    if option == "--bind":
        outside, inside = value.split(":")[:2]
        mounts[inside] = outside
    elif option == "--env":
        environment.update([value.split("=")])
    elif option == "--workdir":
        assert os.path.isdir(value)
    else:
        assert option in ("--nv", "--containall", "--pwd"), option
assert words.pop(0) == "kit.sif"
with open({told!r}, "w") as file:
    json.dump([words, mounts, environment], file)
os.execv(sys.executable, [sys.executable, "-c", {program!r}])
"""


@pytest.fixture
def sbatch(tmp_path, split, answer):
    """Return what starts the script as Slurm does, on a recipe for the tiny split."""
    (tmp_path / "r.toml").write_text(
        f'name = "r"\n[[expert]]\nname = "a"\nmasks = "{answer}"\n[compute]\ndevice = "cpu"\n'
    )
    (tmp_path / "runs").mkdir()
    (tmp_path / "bin").mkdir()

    def start(program="", **slurm):
        words = {"python": sys.executable, "told": str(tmp_path / "told.json"), "program": program}
        (tmp_path / "bin/apptainer").write_text(APPTAINER.format(**words))
        (tmp_path / "bin/apptainer").chmod(0o755)
        environment = {
            "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "TMPDIR": str(tmp_path),
            "DATA": str(split.root), "WEIGHTS": str(tmp_path), "RUNS": str(tmp_path / "runs"),
            "SIF": "kit.sif", "SLURM_CPUS_PER_TASK": "3", "USER": "me", **slurm,
        }  # fmt: skip
        call = [str(SCRIPT), "r.toml", split.name, "--quiet"]
        return subprocess.Popen(call, cwd=tmp_path, env=environment)

    return start


def test_the_tasks_of_an_array_and_then_one_without_make_the_zip(
    sbatch, split, tmp_path, monkeypatch
):
    def asked(**slurm):
        assert sbatch(**slurm).wait() == 0
        words, mounts, environment = json.loads((tmp_path / "told.json").read_text())
        assert environment == {"OMP_NUM_THREADS": "3"}
        recipe = str(tmp_path / "r.toml")
        assert words[-7:] == ["--recipe", recipe, "--data", "/data", "--split", split.name,
                              "--quiet"]  # fmt: skip
        assert mounts[str(tmp_path)] == str(tmp_path)  # the recipe's folder, where it is
        return words[:-7], [mounts.get(word, word) for word in words]

    monkeypatch.chdir(tmp_path)  # runs/NAME is the same place inside and outside
    for task in "12":
        verb, words = asked(SLURM_ARRAY_TASK_ID=task, SLURM_ARRAY_TASK_MAX="2")
        assert verb == ["predict", "--shard", f"{task}/2"]
        assert main(words) == 0
        found = {path.name for path in (tmp_path / "runs/r/predictions/a").iterdir()}
        assert len(found - {"expert.json"}) == int(task)  # a video each
    verb, _ = asked(SLURM_ARRAY_TASK_ID="3", SLURM_ARRAY_TASK_MAX="3", SHARDS="8")
    assert verb == ["predict", "--shard", "3/8"]  # one of eight, called again alone
    verb, words = asked()
    assert verb == ["submit"]
    assert main(words) == 0
    assert (tmp_path / "runs/r/submission.zip").is_file()


def test_slurms_signal_reaches_the_kit(sbatch, tmp_path):
    program = (
        "import pathlib, signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))\n"
        f"pathlib.Path({str(tmp_path / 'up')!r}).touch()\n"
        f"time.sleep({LIMIT})"
    )
    process = sbatch(program)
    while not (tmp_path / "up").exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=LIMIT) == 143


def test_what_is_not_stated_is_asked_for(tmp_path):
    call = ["bash", SCRIPT, "r.toml", "valid"]
    said = subprocess.run(call, capture_output=True, text=True, env={"PATH": os.environ["PATH"]})
    assert said.returncode
    assert "RUNS" in said.stderr
