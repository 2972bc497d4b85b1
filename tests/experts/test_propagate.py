"""Cutie after another expert's key frame: chosen as told, both ways, and through `submit`."""

import hashlib
import json
import signal
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from models.checkpoints import SAM2, TINY
from models.cutie_cases import cutie, weights
from safetensors.torch import load_file
from waiting import run_until_killed

from submission.cli import main
from submission.compute import Compute
from submission.dataset.frames import open_frames
from submission.dataset.mevis import read_split
from submission.errors import InputError
from submission.experts.expert import ExpertEntry, Tools
from submission.experts.propagate.by_cutie import Propagator
from submission.experts.propagate.carried import KeyFrame, SessionFrames
from submission.experts.propagate.expert import Settings, build, choose_key_frames
from submission.masks.store import Prediction, PredictionStore
from submission.masks.track import Track
from submission.models.cutie import CutieSettings
from submission.models.cutie.model import Step
from submission.terminal.progress import Reporter
from submission.video.transforms import AsIs, ShortSide

ROOT = Path(__file__).parents[2]


# --- which frame ---------------------------------------------------------------------------------
def prediction(areas, **details) -> Prediction:
    """One frame of 4 x 5 pixels for each number of foreground pixels."""
    masks = [np.arange(20).reshape(4, 5) < area for area in areas]
    return Prediction("a cat", Track.encode(masks), details)


@pytest.mark.parametrize(
    ("areas", "confidence", "count", "by", "times"),
    [
        ((3, 9, 1), [0.5, 0.7, 0.9], 1, "confidence", (2,)),
        ((3, 9, 1), [0.5, 0.7, 0.9], 2, "confidence", (2, 1)),
        ((3, 9, 1), [0.5, 0.7, 0.9], 1, "area", (1,)),
        ((3, 9, 0), [0.5, 0.5, 0.9], 2, "confidence", (0, 1)),  # no mask; then the earlier
        ((3, 9, 1), [None, None, -4.5], 3, "confidence", (2,)),
        ((0, 0, 0), [0.5, 0.7, 0.9], 2, "confidence", ()),
        ((0, 0, 0), None, 1, "area", ()),
    ],
)
def test_the_surest_frames_that_have_a_mask_are_chosen(areas, confidence, count, by, times):
    choice = choose_key_frames(prediction(areas, confidence=confidence), count, by)
    assert tuple(key.time for key in choice.keys) == times
    assert choice.by == by
    for key in choice.keys:
        assert np.count_nonzero(key.mask) == areas[key.time]


def test_without_a_stored_confidence_the_largest_mask_is_chosen_and_it_is_recorded():
    choice = choose_key_frames(prediction((3, 9, 9)), 2, "confidence")
    assert [key.time for key in choice.keys] == [1, 2]
    assert choice.by == "area"


def test_masks_in_frames_without_a_confidence_are_not_taken_for_none():
    choice = choose_key_frames(prediction((3, 9, 0), confidence=[None, None, 0.9]), 2, "confidence")
    assert ([key.time for key in choice.keys], choice.by) == ([1, 0], "area")


# --- what is handed to Cutie ---------------------------------------------------------------------
class Session:
    """Frames of 60 x 100 pixels."""

    shape = (3, 60, 100)
    several = False
    released = 0

    def release(self):
        self.released += 1


def test_a_mask_is_shrunk_as_frames_are_and_does_not_vanish():
    frames = SessionFrames(Session(), ShortSide(24))
    mask = np.zeros((60, 100), bool)
    mask[20:40, 50:80] = True
    small = frames.shrink(mask)
    assert small.shape == (24, 40)
    assert abs(small.mean() - mask.mean()) < 0.01
    for row, column in ((0, 0), (59, 99), (31, 46)):
        speck = np.zeros((60, 100), bool)
        speck[row, column] = True
        assert frames.shrink(speck).any()


def propagator(model, **compute) -> Propagator:
    tools = Tools(
        Path(), Compute(device="cpu", dtype="float32", **compute),
        SimpleNamespace(locate=Path, find=Path), None, Reporter("plain"),
        models=SimpleNamespace(get=lambda key, load: model),
    )  # fmt: skip
    return Propagator(tools, "x.pth", 480, CutieSettings())


class Model:
    """Runs out of memory where more than `fits` candidates go at once."""

    def __init__(self, fits: int) -> None:
        self.fits = fits
        self.tried: list[int] = []

    def features(self, budget_bytes):
        return None

    def propagate_each(self, frames, candidates, settings, *, features, budget_bytes):
        self.tried.append(len(candidates))
        for time_ in range(len(frames)):
            for number, masks in enumerate(candidates):
                inside = torch.full(frames.size, 0.25)
                inside[:10, : 10 * max(masks)] = 0.75  # tells whose key frame it is
                yield Step(number, time_, (1,), torch.stack([1 - inside, inside]))
                if time_ == 1 and len(candidates) > self.fits:
                    raise torch.OutOfMemoryError("no room")


def keys(*times: int) -> list[KeyFrame]:
    return [KeyFrame(time_, np.ones((60, 100), bool)) for time_ in times]


def ask(model: Model, *times: int, **compute):
    session = Session()
    session.shared = lambda key, make: make()
    video = SimpleNamespace(name="clip")
    results = propagator(model, **compute).propagate(video, session, keys(*times))
    assert session.released == sum(tried > model.fits for tried in model.tried)
    return results


def test_out_of_memory_halves_what_goes_at_once_and_says_so(capsys):
    model = Model(fits=2)
    results = ask(model, 1, 2, 1, 2, 1)
    assert model.tried == [5, 2, 2, 1]
    said = capsys.readouterr().err
    assert said.count("out of GPU memory") == 1
    assert "going on with 2 of 5 candidates at once" in said
    for time_, result in zip((1, 2, 1, 2, 1), results, strict=True):
        masks = np.asarray(result.track())
        assert np.count_nonzero(masks[0]) == 100 * time_
        assert masks[time_].all()  # the key frame's mask stays as it was given
        assert result.confidence == (0.75, 0.75, 0.75)


def test_a_limit_of_the_recipe_is_kept_from_the_start():
    model = Model(fits=9)
    ask(model, 1, 2, 1, objects_at_once=2)
    assert model.tried == [2, 1]


def test_a_video_that_does_not_fit_even_alone_is_refused():
    with pytest.raises(InputError, match="3 frames of 100 x 60 with one candidate at a time"):
        ask(Model(fits=0), 1, 2)


def test_frames_are_shrunk_and_never_enlarged():
    video = SimpleNamespace(frame_names=("0", "1"), size=(720, 1280))
    assert propagator(None).frames(video)[0].transform == ShortSide(480)
    video.size = (360, 640)
    assert propagator(None).frames(video)[0].transform == AsIs()


def test_the_expert_it_comes_after_must_be_another_one_of_the_recipe():
    tools = propagator(None).tools
    tools = replace(tools, entries=(ExpertEntry("a", "masks", None), ExpertEntry("b", "x", None)))
    for after in ("b", "c"):
        with pytest.raises(InputError, match=f"expert b: after = '{after}' is no other .*: a$"):
            build("b", Settings(after=after), tools)


# --- through `submit` ----------------------------------------------------------------------------
RECIPE = """
[[expert]]
name = "bright"
kind = "example"
threshold = 150
[[expert]]
name = "cutie"
kind = "propagate"
after = "bright"
cutie = "{file}"
mem_every = 2
key_frames = {key_frames}
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    """Weights of the small model, as released."""
    path = tmp_path_factory.mktemp("weights") / "cutie-small.pth"
    torch.save(weights("small"), path)
    return path


@pytest.fixture(autouse=True, scope="module")
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


def words(tmp_path: Path, split_folder: Path, file: Path, key_frames: int = 1) -> list[str]:
    recipe = tmp_path / "two.toml"
    recipe.write_text(RECIPE.format(file=file, key_frames=key_frames))
    data = ["--data", str(split_folder.parent), "--split", split_folder.name]
    return ["submit", "--recipe", str(recipe), *data, "--run", str(tmp_path / "run")]


def test_two_entries_of_a_recipe_make_a_submission(tmp_path, split_folder, file, capsys):
    call = words(tmp_path, split_folder, file)
    assert main([*call, "--dry-run"]) == 0
    planned = capsys.readouterr().out
    assert "Cutie after the key frame of bright" in planned
    assert main(call) == 0
    assert "bright stores no confidence, so the key frame is the one" in capsys.readouterr().err

    run, split = tmp_path / "run", read_split(split_folder.parent, split_folder.name)
    store, video = PredictionStore(run / "predictions"), split.videos[0]
    source = np.asarray(store.read("bright", video, video.expressions[0]).track)
    made = store.read("cutie", video, video.expressions[0])
    (key,) = made.details["key_frames"]
    assert key == source.sum(axis=(1, 2)).argmax()
    assert made.details["chosen_by"] == "area"
    assert [0 < one <= 1 for one in made.details["confidence"]] == [True] * len(source)
    frames = open_frames(split).read(video)
    wanted = cutie("small").propagate(
        frames, {key: source[key].astype(np.uint8)}, CutieSettings(mem_every=2)
    )
    assert np.array_equal(np.asarray(made.track), wanted.ids == 1)
    assert not np.array_equal(np.asarray(made.track), source)
    assert (run / "submission.zip").is_file()
    score = json.loads((run / "score.json").read_text())
    assert set(score["results"]) == {"bright", "cutie", "vote"}
    assert "cutie" in (run / "report/index.html").read_text()

    before = digest(run / "submission.zip")
    assert main(call) == 0
    assert "predict" not in capsys.readouterr().err
    assert digest(run / "submission.zip") == before


def test_several_key_frames_are_voted_on(tmp_path, split_folder, file):
    assert main([*words(tmp_path, split_folder, file, key_frames=3), "--quiet"]) == 0
    split = read_split(split_folder.parent, split_folder.name)
    store, video = PredictionStore(tmp_path / "run/predictions"), split.videos[0]
    source = store.read("bright", video, video.expressions[0])
    made = store.read("cutie", video, video.expressions[0])
    frames = open_frames(split).read(video)
    votes = np.zeros((3, *video.size), int)
    for time_ in made.details["key_frames"]:
        mask = source.track.frame(time_).astype(np.uint8)
        votes += cutie("small").propagate(frames, {time_: mask}, CutieSettings(mem_every=2)).ids
    assert sorted(made.details["key_frames"]) == [0, 1, 2]
    assert np.array_equal(np.asarray(made.track), votes >= 2)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda file: file.write_bytes(file.read_bytes()[:1000]), "not a whole .pth file"),
        (lambda file: torch.save({"detr.weight": torch.ones(2)}, file), "not weights of Cutie"),
        (lambda file: torch.save({"a": Path("x")}, file), "wants to run"),
        (lambda file: file.unlink(), "nowhere"),
    ],
)
def test_a_file_that_is_not_cutie_is_refused_in_a_sentence(
    tmp_path, split_folder, damage, reason, capsys
):
    file = tmp_path / "a.pth"
    torch.save({"a": torch.ones(1000)}, file)
    damage(file)
    assert main([*words(tmp_path, split_folder, file), "--quiet"]) == 2
    said = capsys.readouterr().err
    assert reason in said
    assert "Traceback" not in said


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.slow
def test_a_run_that_is_killed_ends_as_an_undisturbed_one(tmp_path, split_folder, file):
    call = [*words(tmp_path, split_folder, file), "--quiet"]
    run = tmp_path / "run"
    assert run_until_killed(call, ROOT, "nowhere", 1) == 0
    undisturbed = digest(run / "submission.zip")
    run.rename(tmp_path / "undisturbed")
    assert run_until_killed(call, ROOT, "/predictions/cutie/", 3) == -signal.SIGKILL
    assert not (run / "submission.zip").exists()
    assert run_until_killed(call, ROOT, "nowhere", 1) == 0
    assert digest(run / "submission.zip") == undisturbed


# --- SAM 2 in Cutie's place ----------------------------------------------------------------------
BY_SAM2 = """
[[expert]]
name = "bright"
kind = "example"
threshold = 150
[[expert]]
name = "sam2"
kind = "propagate"
after = "bright"
tracker = "sam2"
sam2 = "{file}"
key_frames = 2
[compute]
device = "cpu"
"""


def sam2_words(tmp_path: Path, split_folder: Path, text: str) -> list[str]:
    recipe = tmp_path / "sam2.toml"
    recipe.write_text(text)
    data = ["--data", str(split_folder.parent), "--split", split_folder.name]
    return ["submit", "--recipe", str(recipe), *data, "--run", str(tmp_path / "run")]


def test_sam2_carries_the_same_key_frames_to_a_submission(tmp_path, split_folder, capsys):
    stored = load_file(TINY / "model.safetensors")
    (tmp_path / "sam2").mkdir()
    file = tmp_path / "sam2/sam2_hiera_large.pt"
    own = {key.removeprefix(SAM2).replace("g_weight", "gamma"): value
           for key, value in stored.items() if key.startswith(SAM2)}  # fmt: skip
    torch.save({"model": own}, file)
    file.with_name("config.json").write_bytes((TINY / "config.json").read_bytes())
    call = sam2_words(tmp_path, split_folder, BY_SAM2.format(file="./sam2"))
    assert main([*call, "--dry-run"]) == 0
    assert "SAM 2 after the 2 key frames of bright" in capsys.readouterr().out
    assert main(call) == 0
    split = read_split(split_folder.parent, split_folder.name)
    store, video = PredictionStore(tmp_path / "run/predictions"), split.videos[0]
    source = store.read("bright", video, video.expressions[0]).track
    made = store.read("sam2", video, video.expressions[0])
    first, second = made.details["key_frames"]
    # A majority of two is their intersection: where one was given, no more than that.
    assert (made.track.frame(first) <= source.frame(first)).all()
    assert (made.track.frame(second) <= source.frame(second)).all()
    assert len(made.details["confidence"]) == len(source)
    assert (tmp_path / "run/submission.zip").is_file()
    torch.save({"model": {**own, "no_obj_embed_spatial": torch.ones(1)}}, file)
    assert main([*call[:-1], str(tmp_path / "other")]) == 2
    assert "these are SAM 2.1 weights; SAM 2.0 large is needed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ('tracker = "sam2"\nmem_every = 3', 'mem_every: it has no effect with tracker = "sam2"'),
        ('sam2 = "x"', 'sam2: it has no effect with tracker = "cutie"'),
        ('tracker = "xmem"', "tracker"),
        ('tracker = "sam2"\nsam2 = "./nowhere"', "nowhere"),
    ],
)
def test_keys_that_the_tracker_does_not_read_are_refused(
    tmp_path, split_folder, capsys, change, says
):
    text = BY_SAM2.partition("tracker")[0] + change + '\n[compute]\ndevice = "cpu"\n'
    assert main(sam2_words(tmp_path, split_folder, text)) == 2
    assert says in capsys.readouterr().err
