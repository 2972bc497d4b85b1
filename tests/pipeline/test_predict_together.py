"""Workers in this process; what they are told and give back is pickled, as over Ray."""

import json
import pickle
import sys
from dataclasses import dataclass, replace
from types import ModuleType

import pytest

from submission.cluster.crew import Answered, Joined, Lost, Part
from submission.cluster.dispatcher import Patience
from submission.compute import Compute
from submission.dataset.frames import open_frames
from submission.device import Place
from submission.errors import InputError
from submission.experts import registry
from submission.experts.expert import Expert
from submission.masks.store import PredictionStore
from submission.pipeline.agreement import agreement, difference_in_words
from submission.pipeline.claim import claim_all
from submission.pipeline.predict import predict
from submission.pipeline.predict_together import predict_together
from submission.pipeline.prepare import Site, prepare
from submission.pipeline.submit import Run
from submission.pipeline.team import Team, refuse_one_gpu
from submission.pipeline.wire import site_from_json, site_to_json, words_for
from submission.pipeline.worker import SentAnswers, make_worker, site_of_share
from submission.recipes.find import read_recipe
from submission.terminal.progress import Reporter
from submission.weights.folders import Weights

RECIPE = """
[[expert]]
name = "second"
kind = "copies"
after = "bright"

[[expert]]
name = "bright"
kind = "example"
threshold = 100

[[expert]]
name = "brighter"
kind = "example"
threshold = 150
"""


@dataclass(frozen=True)
class Settings:
    after: str = "bright"


class Copies(Expert):
    """Answers with what another expert has stored; refuses a video that it is told to refuse."""

    refused = ""

    def __init__(self, name, settings, tools):
        self.name, self.settings, self.tools = name, settings, tools

    def identity(self):
        return {"after": self.tools.store.identity(self.settings.after)}

    def frames(self, video):
        return ()

    def after(self):
        return (self.settings.after,)

    def predict(self, video, session):
        if video.name == self.refused:
            raise InputError("frame 3 is damaged")
        self.tools.reporter.warn(f"copying {video.name}")
        read = [self.tools.store.read(self.settings.after, video, e) for e in video.expressions]
        return iter(list(zip(video.expressions, read, strict=True)))


@pytest.fixture
def recipe(split, tmp_path, monkeypatch):
    kind = ModuleType("copies")
    kind.Settings, kind.build = Settings, Copies
    monkeypatch.setitem(sys.modules, "copies", kind)
    monkeypatch.setitem(registry.KINDS, "copies", "copies")
    path = tmp_path / "it.toml"
    path.write_text(RECIPE)
    recipe = read_recipe(str(path)).with_data(split.root.parent / "data", split.name, None)
    return replace(recipe, compute=Compute(device="cpu"))


class CrewHere:
    """Workers in this process, that die where `dies` says so."""

    def __init__(self, words, workers=2, dies=lambda worker, order: False):
        text = json.dumps(words)
        self.workers = {str(n): make_worker(json.loads(text)) for n in range(workers)}
        self.joining = list(self.workers)
        self.admitted, self.held = [], {}
        self.dies = dies
        self.work = {}

    def idle(self):
        return [name for name in self.admitted if name not in self.held]

    def ready(self):
        return len(self.admitted)

    def may_grow(self):
        return bool(self.workers)

    def admit(self, worker):
        self.admitted.append(worker)

    def refuse(self, worker):
        del self.workers[worker]

    def give(self, worker, task):
        self.held[worker] = (task, pickle.dumps(task.order()))

    def wait(self, seconds):
        if self.joining:
            name = self.joining.pop()
            return Joined(name, json.loads(json.dumps(self.workers[name].facts())))
        name, (task, order) = next(reversed(self.held.items()))
        if self.dies(name, pickle.loads(order)):
            del self.held[name]
            self.work.pop(name, None)
            self.admitted.remove(name)
            self.joining.append(name)
            return Lost(name, task, "killed")
        work = self.work.setdefault(name, self.workers[name].work(pickle.loads(order)))
        for done in work:
            return Part(name, task, pickle.loads(pickle.dumps(done)))
        del self.held[name], self.work[name]
        return Answered(name, task)

    def now(self):
        return 0.0


def words_of(recipe, split):
    return words_for(recipe, split, Weights(), "cpu", hash_all=False)


def run_together(recipe, split, store, **crew_words):
    crew = CrewHere(words_of(recipe, split), **crew_words)
    reporter = Reporter("quiet")
    team = Team.gather(crew, Patience(), reporter)
    prepared = prepare(recipe, split, store, Weights(), reporter, site=team.site)
    claim_all(prepared, store, reporter)
    return predict_together(prepared, team, store, reporter), team


def run_alone(recipe, split, store):
    reporter = Reporter("quiet")
    prepared = prepare(recipe, split, store, Weights(), reporter)
    claim_all(prepared, store, reporter)
    return predict(prepared, open_frames(split), store, reporter)


def files_of(store):
    return {
        str(path.relative_to(store.folder)): path.read_bytes()
        for path in store.folder.rglob("*.json")
    }


@pytest.fixture
def alone(recipe, split, tmp_path):
    store = PredictionStore(tmp_path / "alone")
    run_alone(recipe, split, store)
    return files_of(store)


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_any_number_of_workers_stores_the_same_bytes(recipe, split, alone, tmp_path, workers):
    store = PredictionStore(tmp_path / "together")
    result, team = run_together(recipe, split, store, workers=workers)
    assert result.faults == []
    assert len(alone) == 3 + 3 * split.num_sentences
    assert files_of(store) == alone
    deeds = team.to_json()["workers"]
    assert sum(one["videos"] for one in deeds.values()) == 3 * len(
        split.videos
    )  # without models: a pass each
    assert sum(one["masks"] for one in deeds.values()) == 3 * split.num_masks


def test_the_same_bytes_when_workers_are_lost_on_the_way(recipe, split, alone, tmp_path):
    seen = set()

    def first_time(worker, order):
        is_new = (order.video, order.experts) not in seen
        seen.add((order.video, order.experts))
        return is_new

    store = PredictionStore(tmp_path / "together")
    result, team = run_together(recipe, split, store, dies=first_time)
    assert result.faults == []
    assert files_of(store) == alone
    record = team.to_json()
    assert len(record["losses"]) == 3 * len(split.videos)
    assert {one["video"] for one in record["losses"]} == {video.name for video in split.videos}


def test_a_video_that_kills_its_workers_is_told_and_the_others_are_kept(recipe, split, tmp_path):
    store = PredictionStore(tmp_path / "together")
    deadly = split.videos[0].name
    result, _ = run_together(recipe, split, store, dies=lambda worker, order: order.video == deadly)
    with pytest.raises(InputError, match=rf"video {deadly}: it took 3 workers"):
        result.refuse_faults()
    assert {video.name for video, _ in store.unanswered("bright", split)} == {deadly}


def test_a_video_that_cannot_be_answered_is_told_as_without_workers(
    recipe, split, tmp_path, monkeypatch
):
    monkeypatch.setattr(Copies, "refused", split.videos[0].name)
    faults = run_alone(recipe, split, PredictionStore(tmp_path / "alone")).faults
    result, _ = run_together(recipe, split, PredictionStore(tmp_path / "together"))
    assert len(faults) == 1
    assert result.faults == faults


def test_what_is_stored_is_not_asked_again(recipe, split, alone, tmp_path):
    store = PredictionStore(tmp_path / "together")
    run_together(recipe, split, store)
    (store.folder / "second" / "dogs" / "2.json").unlink()
    asked = []
    run_together(recipe, split, store, dies=lambda w, order: asked.append(order))
    assert [(order.video, order.experts) for order in asked[:-1]] == [("dogs", ("second",))]
    assert set(asked[0].stored) == {"bright"}
    assert files_of(store) == alone


def test_experts_of_a_worker_are_heard_at_the_driver(recipe, split, tmp_path, capsys):
    run_together(recipe, split, PredictionStore(tmp_path / "together"))
    assert "warning: copying dogs" in capsys.readouterr().err


def test_a_worker_of_other_code_or_data_is_refused_before_it_works(recipe, split, tmp_path):
    words = words_of(recipe, split)
    changed = tmp_path / "other" / "it.toml"
    changed.parent.mkdir()
    changed.write_text(RECIPE.replace("150", "151"))
    crew = CrewHere(words, workers=1)
    crew.workers["1"] = make_worker(
        words_of(replace(recipe, experts=read_recipe(str(changed)).experts), split)
    )
    crew.joining.append("1")
    said = Reporter("quiet")
    said.warn = lambda text: heard.append(text)
    heard = []
    team = Team.gather(crew, Patience(), said)
    store = PredictionStore(tmp_path / "together")
    prepared = prepare(recipe, split, store, Weights(), said, site=team.site)
    claim_all(prepared, store, said)
    predict_together(prepared, team, store, said)
    refused = [text for text in heard if "refused" in text]
    assert refused == ["worker 1 is refused: expert.brighter.threshold is 151 there and 150 here"]
    assert set(team.to_json()["workers"]) == {"0"}


def test_differences_are_told_up_to_a_few():
    here = {"kit": "1", "expert": {"a": {"files": {"x": "0" * 64}}}}
    assert difference_in_words(here, here) == ""
    there = {"kit": "2", "expert": {"a": {"files": {}}}}
    words = difference_in_words(here, there)
    assert words.startswith(
        'kit is "2" there and "1" here; expert.a.files.x is nothing there and "00'
    )
    many = {str(number): number for number in range(9)}
    assert difference_in_words({**many, "0": 1}, {"0": 1}).endswith("; and 3 more")


def test_agreement_names_what_decides_results(recipe, split):
    sent = SentAnswers()
    experts = prepare(recipe, split, sent, Weights(), Reporter("quiet")).experts
    found = agreement(split, experts, sent.identities)
    assert found["libraries"].keys() >= {"python", "torch", "numpy", "transformers"}
    assert found["expert"]["second"] == {"after": found["expert"]["bright"]}
    other = replace(split, videos=split.videos[:1])
    assert agreement(other, experts, {})["data"] != found["data"]


def test_other_code_is_told_before_a_word_is_read_that_it_may_not_understand(recipe, split):
    words = words_of(recipe, split)
    words |= {"code": "older", "recipe": {"a key": "of another version"}}
    with pytest.raises(InputError, match=r"other code .* than the driver runs \(older\)"):
        make_worker(words)


def test_a_worker_without_its_data_says_so(recipe, split):
    words = words_of(recipe, split)
    (split.root / split.name / "JPEGImages" / "cups" / "00001.jpg").unlink()
    with pytest.raises(InputError, match="cups"):
        make_worker(words)


def test_a_worker_takes_its_part_of_a_gpu(monkeypatch):
    taken = []
    monkeypatch.setattr("torch.cuda.set_per_process_memory_fraction", taken.append)
    gpu = Place("H", 70e9, 80e9)
    site = Site("cuda", "bfloat16", gpu)
    whole = site_of_share(site, Compute())
    assert (whole.gpu, taken) == (gpu, [])
    half = site_of_share(site, Compute(gpus_per_worker=0.5))
    assert (half.gpu.free, half.gpu.total, half.free_bytes(), taken) == (40e9, 40e9, 40e9, [0.5])
    assert site_from_json(json.loads(json.dumps(site_to_json(half)))) == half


def test_one_gpu_by_its_number_is_no_place_for_several():
    with pytest.raises(InputError, match="cuda:1 names one GPU"):
        refuse_one_gpu(Compute(device="cuda:1"))
    refuse_one_gpu(Compute(device="cuda"))


def test_a_run_with_nothing_left_needs_no_worker(recipe, split, tmp_path, monkeypatch):
    folder = tmp_path / "run"
    Run(recipe, folder=folder, reporter=Reporter("quiet")).predict()
    monkeypatch.setattr("submission.pipeline.submit.open_team", None)
    asking = replace(recipe, compute=replace(recipe.compute, workers=2))
    Run(asking, folder=folder, reporter=Reporter("quiet")).predict()
    with pytest.raises(TypeError):
        Run(asking, folder=tmp_path / "new", reporter=Reporter("quiet")).predict()
