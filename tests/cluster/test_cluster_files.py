"""The files for clusters: the Slurm script, over programs that stand in, and the manifest."""

import os
import re
import signal
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml
from waiting import LIMIT

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts/cluster/ray.sbatch"
PROGRAMS = {
    "srun": 'while [[ ${1:-} == --* ]]; do echo "srun $1" >>"$TOLD"; shift; done\nexec "$@"',
    "scontrol": '[ "$1" = show ] && printf "%s\\n" a b c || echo "scontrol $*" >>"$TOLD"',
    "hostname": "echo fe80::1 127.0.0.1",
    # The head listens, so that the script finds it; both last until they are ended.
    "ray": 'echo "ray $* ${#RAY_AUTH_TOKEN}" >>"$TOLD"\n'
    '[[ "$*" == *--head* ]] && exec {python} -c "{listen}" "$*"\nexec sleep 600',
    "mevis-submission": 'echo "kit $*" >>"$TOLD"\n{driver}',
}
LISTEN = (
    "import re, socket, sys, time; server = socket.socket(); "
    "server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); "
    "server.bind(('127.0.0.1', int(re.search(r'--port=(\\d+)', sys.argv[1])[1]))); "
    "server.listen(); time.sleep(600)"
)


@pytest.fixture
def sbatch(tmp_path):
    """Return what starts the script as Slurm does, with a driver of the test's own."""

    def start(driver: str, *words: str, **slurm: str) -> subprocess.Popen[str]:
        folder = tmp_path / "bin"
        folder.mkdir()
        for name, text in PROGRAMS.items():
            text = text.replace("{listen}", LISTEN).replace("{driver}", driver)
            text = text.replace("{python}", sys.executable)
            (folder / name).write_text(f"#!/usr/bin/env bash\n{text}\n")
            (folder / name).chmod(0o755)
        environment = {
            "PATH": f"{folder}:{os.environ['PATH']}", "MEVIS_BIN": str(folder),
            "TOLD": str(tmp_path / "told"), "SLURM_JOB_ID": str(os.getpid()),
            "SLURM_JOB_NODELIST": "n[a-c]", "SLURM_CPUS_PER_TASK": "4", **slurm,
        }  # fmt: skip
        return subprocess.Popen(
            [str(SCRIPT), *words], cwd=tmp_path, env=environment, text=True, stderr=subprocess.PIPE
        )

    return start


def told(tmp_path: Path, program: str) -> list[str]:
    lines = (tmp_path / "told").read_text().splitlines()
    return [line for line in lines if line.startswith(f"{program} ")]


def test_ray_starts_on_every_node_and_the_driver_on_the_first(sbatch, tmp_path):
    process = sbatch("sleep 0.3; exit 1", "--recipe", "r.toml", SLURM_GPUS_PER_NODE="8")
    _, said = process.communicate(timeout=LIMIT)
    assert process.returncode == 1  # the driver's
    head, *others = sorted(told(tmp_path, "ray"), key=lambda line: "--head" not in line)
    address = re.search(r"--node-ip-address=(\S+) --port=(\d+)", head)
    assert address[1] == "127.0.0.1"
    assert [line for line in others if f"--address=127.0.0.1:{address[2]}" in line] == others
    assert len(others) == 2
    assert all("--num-cpus=4" in line and line.endswith(" 64") for line in (head, *others))
    assert told(tmp_path, "kit") == [f"kit submit --ray 127.0.0.1:{address[2]} --recipe r.toml"]
    assert told(tmp_path, "srun").count("srun --gpus-per-node=8") == 3
    assert "3 nodes in all" in said


@pytest.mark.parametrize("again", ["0", "1"])
def test_slurms_signal_stops_the_driver_as_ctrl_c_does(sbatch, tmp_path, again):
    driver = "trap 'sleep 0.2; exit 130' TERM; touch up; while :; do sleep 0.05; done"
    process = sbatch(driver, MEVIS_REQUEUE=again)
    while not (tmp_path / "up").exists():
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=LIMIT)
    assert process.returncode == 130
    assert len(told(tmp_path, "scontrol") if again == "1" else "") == int(again)


def test_a_head_that_does_not_come_up_is_told(sbatch, tmp_path):
    process = sbatch("exit 0", SLURM_JOB_ID="7")
    (tmp_path / "bin/ray").write_text("#!/usr/bin/env bash\nexit 1\n")
    _, said = process.communicate(timeout=LIMIT)
    assert process.returncode == 1
    assert "the Ray head on a has ended" in said


def test_the_manifest_mounts_what_it_names_and_has_the_locked_ray():
    job = yaml.safe_load((ROOT / "scripts/cluster/rayjob.yaml").read_text())["spec"]
    cluster = job["rayClusterSpec"]
    lock = (ROOT / "requirements/cuda.txt").read_text()
    assert f"\nray=={cluster['rayVersion']} " in lock
    assert cluster["rayVersion"] == version("ray")
    pods = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    for pod in (group["template"]["spec"] for group in pods):
        (container,) = pod["containers"]
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        assert mounted == {volume["name"] for volume in pod["volumes"]}
        assert pod["securityContext"]["runAsNonRoot"]
    runs = [
        volume["persistentVolumeClaim"]["claimName"]
        for group in cluster["workerGroupSpecs"]
        for volume in group["template"]["spec"]["volumes"]
        if "persistentVolumeClaim" in volume
    ]
    assert runs == ["mevis-data", "mevis-weights"]  # workers have no shared run folder


def test_the_manifests_words_are_a_call_of_ours():
    from submission.cli import build_parser

    job = yaml.safe_load((ROOT / "scripts/cluster/rayjob.yaml").read_text())
    _, *words = job["spec"]["entrypoint"].split()
    arguments = build_parser().parse_args(words)
    assert (arguments.verb, arguments.ray, arguments.workers) == ("submit", "auto", "auto")
