"""The gate's judge in a run: asked once, resumed, planned, calibrated with, shown, never voting."""

import hashlib
import json
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from models.checkpoints import TINY
from models.plain_qwenvl import WEIGHTS, write_plain
from tiny_split import square
from torch.utils.flop_counter import FlopCounterMode

from submission.cli import main
from submission.compute import Compute
from submission.dataset.mevis import Split
from submission.experts.expert import Tools
from submission.experts.judge import build
from submission.gate.judge import Settings
from submission.masks.store import PredictionStore
from submission.masks.track import Track
from submission.models.sa2va.qwenvl.judge import load_judge
from submission.models.workload import Limits
from submission.output.png_files import write_track
from submission.terminal.progress import Reporter
from submission.video.frame_loader import FrameLoader
from submission.weights.checkpoints import CheckpointFinder
from submission.weights.folders import Weights

JUDGE = '[gate]\njudge = "./judge"\nframes = 2\nmax_pixels = 12544\n'
PARTS = ("category", "count", "action", "trajectory", "order", "role")


@pytest.fixture
def call(tmp_path: Path, split: Split):
    """A recipe of one given expert; a judge with random weights lies beside it."""
    for video in split.videos:
        for one in video.expressions:
            masks = [square(2, frame) for frame in range(len(video.frame_names))]
            folder = tmp_path / "one" / video.name / one.id
            write_track(folder, video.frame_names, Track.encode(masks), "1bit")
    write_plain(tmp_path / "judge")
    text = (
        f'[data]\nroot = "{split.root}"\nsplit = "{split.name}"\n[compute]\ndevice = "cpu"\n'
        '[[expert]]\nname = "one"\nmasks = "one"\n'
    )

    def make(gate: str = JUDGE) -> list[str]:
        recipe = tmp_path / "given.toml"
        recipe.write_text(text + gate)
        return ["--quiet", "--recipe", str(recipe), "--run", str(tmp_path / "run")]

    return make


def answers(tmp_path: Path, name: str) -> dict[Path, int]:
    """Every answer of a judge's round, and when it was written."""
    files = (tmp_path / "run/predictions" / name).glob("*/*.json")
    return {file: file.stat().st_mtime_ns for file in files}


def odds(file: Path) -> dict[str, float]:
    return json.loads(file.read_text())["odds"]


def test_a_judge_is_asked_once_and_only_for_what_is_missing(tmp_path, call):
    assert main(["predict", *call()]) == 0
    first = answers(tmp_path, "judge")
    assert len(first) == 4
    assert len({odds(file)["judge"] for file in first}) == 4
    assert main(["predict", *call()]) == 0
    assert answers(tmp_path, "judge") == first
    # The audit is a second round of its own; the first is not asked again.
    assert main(["predict", *call(JUDGE + "audit = true\n")]) == 0
    assert answers(tmp_path, "judge") == first
    second = answers(tmp_path, "judge-audit")
    assert [odds(file).keys() for file in second] == [{f"judge_{part}" for part in PARTS}] * 4
    lost, kept = min(first), odds(min(first))
    lost.unlink()
    assert main(["predict", *call(JUDGE + "audit = true\n")]) == 0
    assert answers(tmp_path, "judge-audit") == second
    # A video is the unit of work: what was said of the other one stands untouched.
    again = answers(tmp_path, "judge")
    assert {file.parent.name for file in first if again[file] == first[file]} == {"dogs"}
    assert odds(lost) == pytest.approx(kept, abs=1e-4)


def test_what_it_says_is_kept_and_shown_and_is_no_vote(tmp_path, call):
    assert main(["submit", *call()]) == 0
    stage = json.loads((tmp_path / "run/stages/vote/dogs.json").read_text())
    for name, decision in stage["gate"].items():
        said = odds(tmp_path / f"run/predictions/judge/dogs/{name}.json")["judge"]
        assert decision["evidence"]["judge"] == said
        assert not decision["emptied"]
        assert (decision["p_no_target"] > 0.5) == (said < 0)
    assert "judge" not in stage["noticed"]["experts"]
    results = json.loads((tmp_path / "run/score.json").read_text())["results"]
    assert list(results) == ["one", "vote"]
    page = (tmp_path / "run/report/index.html").read_text(encoding="utf-8")
    assert '"judge":' in page
    record = json.loads((tmp_path / "run/run.json").read_text())
    assert record["experts"]["judge"]["settings"]["frames"] == 2
    assert main(["report", "--quiet", "--run", str(tmp_path / "run")]) == 0


def test_a_gate_by_hand_and_one_that_is_calibrated_read_it(tmp_path, call, capsys):
    assert main(["predict", *call(JUDGE + "audit = true\n")]) == 0
    found = {file: odds(file)["judge"] for file in answers(tmp_path, "judge")}
    middle = sorted(found.values())
    below = (middle[1] + middle[2]) / 2
    assert main(["vote", *call(JUDGE + f'evidence = "judge"\nbelow = {below}\n')]) == 0
    for file, value in found.items():
        stage = json.loads((tmp_path / f"run/stages/vote/{file.parent.name}.json").read_text())
        assert stage["gate"][file.stem]["emptied"] == (value < below)
    assert main(["predict", *call(JUDGE + "audit = true\n")]) == 0
    capsys.readouterr()
    words = ["calibrate", "--run", str(tmp_path / "run"), "--share", "0.04", "--quiet",
             "--evidence", "judge_action"]  # fmt: skip
    assert main(words) == 0
    assert "judge_action" in capsys.readouterr().out
    gate = JUDGE + 'audit = true\ncalibration = "run/gate.json"\n'
    assert main(["vote", *call(gate)]) == 0
    assert main(["submit", *call(gate.replace("audit = true\n", ""))]) == 2
    assert 'it reads "judge_action" of the judge\'s audit' in capsys.readouterr().err


def test_a_gate_is_for_the_judge_that_it_was_calibrated_with(tmp_path, call, capsys):
    assert main(["predict", *call()]) == 0
    words = ["calibrate", "--run", str(tmp_path / "run"), "--share", "0.04", "--quiet"]
    assert main([*words, "--evidence", "judge"]) == 0
    kept = json.loads((tmp_path / "run/gate.json").read_text())
    judge = kept["gate"]["judge"]
    assert (judge["checkpoint"], judge["frames"], judge["max_pixels"]) == ("./judge", 2, 12544)
    tensors = (tmp_path / "judge" / WEIGHTS).read_bytes()
    assert judge["files"][WEIGHTS] == hashlib.sha256(tensors).hexdigest()
    gate = JUDGE + 'calibration = "run/gate.json"\n'
    (tmp_path / "judge").rename(tmp_path / "moved")  # another folder is no other judge
    same = gate.replace("./judge", "./moved")
    assert main(["submit", *call(same)]) == 0
    assert main(["submit", *call(same.replace("frames = 2", "frames = 3"))]) == 2
    said = capsys.readouterr().err
    assert "[gate] frames: 3, and the gate was calibrated with a judge that had 2" in said

    write_plain(tmp_path / "other", seed=1)
    other = gate.replace("./judge", "./other")
    elsewhere = [*call(other)[:-1], str(tmp_path / "second")]
    refusal = f"./other is not the judge that the gate was calibrated with, ./judge: {WEIGHTS}"
    assert main(["submit", *elsewhere]) == 2
    assert refusal in capsys.readouterr().err
    assert not list((tmp_path / "second").glob("predictions/judge*"))
    assert main(["submit", *elsewhere, "--dry-run"]) == 2  # hashed before, and so known
    assert refusal in capsys.readouterr().err
    # Answers of another judge that are there already are not voted on.
    kept["gate"]["judge"]["files"][WEIGHTS] = "0" * 64
    (tmp_path / "run/gate.json").write_text(json.dumps(kept))
    assert main(["vote", *call(same)]) == 2
    assert "./moved is not the judge" in capsys.readouterr().err
    # A file of before this was recorded goes on, with a warning.
    del kept["gate"]["judge"]
    (tmp_path / "run/gate.json").write_text(json.dumps(kept))
    assert main(["vote", *call(same)]) == 0
    assert "does not say which judge it was made with" in capsys.readouterr().err


def test_a_dry_run_says_what_will_be_asked_and_needs_no_weights(
    tmp_path, call, capsys, monkeypatch
):
    assert main(["submit", *call(JUDGE + "audit = true\n"), "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "expert     judge: 4 yes/no questions to ./judge, 4 key frames, 0 of 4" in out
    assert "expert     judge-audit: 24 yes/no questions" in out
    shared = [line for line in out.splitlines() if line.startswith("shared")]
    assert shared == ["shared     judge, judge-audit: one loaded model, frames and image features"]
    assert "gate       empty nothing; mevis-submission calibrate finds" in out
    assert not (tmp_path / "run").exists()
    gate = '[gate]\njudge = "Qwen3-VL-4B"\n'
    monkeypatch.setenv("MEVIS_WEIGHTS", str(tmp_path / "nothing"))
    assert main(["submit", *call(gate), "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "4 yes/no questions to Qwen3-VL-4B" in out
    assert re.search(r"(?m)^judge +[\d.]+ [GTP]FLOP .* \d+(\.\d)? GB", out)


@pytest.mark.parametrize(
    ("gate", "said"),
    [
        ("[gate]\naudit = true\nevidence = 'area'\nbelow = 1\n", "no effect without judge"),
        ("[gate]\nevidence = 'judge'\nbelow = 0\n", 'it reads "judge", which a judge says'),
        (JUDGE + "evidence = 'judge_role'\nbelow = 0\n", "set audit = true"),
        (JUDGE + "evidence = 'judge'\n", "it needs calibration, or evidence and below"),
        ("[gate]\njudge = './judge'\nframes = 0\n", "frames"),
        ("[gate]\njudge = './nowhere'\n", "nowhere"),
        (f"[gate]\njudge = '{TINY}'\n", "config.json is of no Qwen2.5-VL"),
        (JUDGE + "[[expert]]\nname = 'judge'\nmasks = 'one'\n", "give the expert another"),
        ("[[expert]]\nname = 'two'\nkind = 'gate-judge'\ncheckpoint = './judge'\n", "gate-judge"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_starts(tmp_path, call, capsys, gate, said):
    assert main(["submit", *call(gate)]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "run/predictions/judge").exists()


def test_the_cost_of_reading_is_what_the_network_does(tmp_path, split, monkeypatch):
    """Vision encoder and prefix against torch's own counter over a real run; rounds by number."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write_plain(tmp_path / "judge")
    finder = CheckpointFinder(tmp_path, Weights(), False, Reporter("quiet"))
    tools = Tools(tmp_path, Compute(device="cpu", dtype="float32"), finder,
                  PredictionStore(tmp_path / "store"), Reporter("quiet"))  # fmt: skip
    settings = Settings("./judge", frames=3, max_pixels=16 * 784)
    first, second = (
        build("judge", replace(settings, audit=audit), tools) for audit in (False, True)
    )
    video, limits = split.videos[0], Limits()
    planned = first.work(video, limits)
    loader = FrameLoader(
        np.zeros((3, *video.size, 3), np.uint8).__getitem__, (3, *video.size), ThreadPoolExecutor(1)
    )
    judge = load_judge(tmp_path / "judge", "cpu", "float32")
    with FlopCounterMode(display=False) as counted:
        judge.watch(loader, (0, 1, 2), first._call)
    # The counter passes over attention on a CPU.
    reading = [planned[stage] for stage in ("vision encoder", "language prefix")]
    products = sum(work.flop - work.attention for work in reading)
    assert products == pytest.approx(counted.get_total_flops(), rel=0.03)
    assert all(work.attention > 0 for work in reading)
    # Six times the questions, and attention over what is packed grows with the square.
    more, few = (one.work(video, limits)["language answers"] for one in (second, first))
    assert more.flop - more.attention == pytest.approx(6 * (few.flop - few.attention), rel=0.01)
    assert more.attention > 6 * few.attention
    small, large = (
        replace_call(first, frames=frames).memory(video, limits, 0) for frames in (1, 3)
    )
    weights = first.resources().weights
    assert weights < small < large


def replace_call(expert, **changes):
    return build(expert.name, replace(expert.settings, **changes), expert.tools)
