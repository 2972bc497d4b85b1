"""The sample over Ray: 1, 2 and 4 workers, some killed on the way, make one and the same zip."""

import hashlib
import json
import os
import random
import signal
from dataclasses import replace

import pytest

from submission.dataset.selection import Selection
from submission.errors import InputError
from submission.pipeline.submit import Run
from submission.pipeline.team import Team
from submission.recipes.find import read_recipe
from submission.recipes.recipe import Recipe
from submission.terminal.progress import Reporter

pytestmark = pytest.mark.slow
VIDEOS = 3


@pytest.fixture(scope="module", autouse=True)
def has_ray():
    pytest.importorskip("ray", reason="Ray is not installed")


@pytest.fixture(autouse=True)
def one_thread_each(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def recipe_of(workers, **compute) -> Recipe:
    sample = read_recipe("sample")
    experts = tuple(one for one in sample.experts if one.name in ("uniform5", "uniform11"))
    chosen = replace(sample.compute, device="cpu", workers=workers, **compute)
    return replace(sample, experts=experts, compute=chosen)


def make_zip(folder, workers) -> str:
    run = Run(recipe_of(workers), Selection(limit=VIDEOS), folder, Reporter("quiet"))
    run.predict()
    run.vote()
    run.pack()
    return hashlib.sha256(run.folder.zip.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    return make_zip(tmp_path_factory.mktemp("alone"), 0)


class Killer:
    """Kills a random worker, without a warning, after the first answers."""

    def __init__(self, kills: int) -> None:
        self.left = kills
        self.chance = random.Random(kills)
        self.killed: set[int] = set()

    def after(self, team: Team) -> None:
        processes = {facts["process"] for facts in team.dispatcher.facts.values()}
        if self.left and (alive := sorted(processes - self.killed)):
            self.left -= 1
            process = self.chance.choice(alive)
            self.killed.add(process)
            os.kill(process, signal.SIGKILL)


@pytest.mark.parametrize(("workers", "kills"), [(1, 0), (2, 2), (4, 1)])
def test_the_zip_is_the_same_whoever_answers_and_whoever_is_killed(
    alone, tmp_path, monkeypatch, capsys, workers, kills
):
    killer, credit = Killer(kills), Team.credit

    def then_kill(team, event):
        credit(team, event)
        killer.after(team)

    monkeypatch.setattr(Team, "credit", then_kill)
    assert make_zip(tmp_path, workers) == alone
    record = json.loads((tmp_path / "run.json").read_text())["calls"][0]["workers"]
    assert len(record["losses"]) >= kills
    assert len(record["workers"]) <= workers
    assert sum(one["videos"] for one in record["workers"].values()) == 2 * VIDEOS
    assert killer.left == 0
    assert capsys.readouterr().out == ""  # it is for results


def test_a_cluster_that_is_not_there_is_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr("submission.cluster.ray_session.JOIN_WITHIN", 1.0)
    run = Run(recipe_of("auto", ray="127.0.0.1:1"), folder=tmp_path, reporter=Reporter("quiet"))
    with pytest.raises(InputError, match=r"no Ray cluster could be joined at 127\.0\.0\.1:1"):
        run.predict()
