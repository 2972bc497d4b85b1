"""Shards that find at once that given masks have changed: none takes another's answers."""

import fcntl
import shutil
import threading

import pytest
from waiting import LIMIT

from submission import Reporter, Run, Selection, read_recipe
from submission.errors import StoreMismatch
from submission.masks.store import Prediction, PredictionStore
from submission.masks.track import Track
from submission.output.png_files import encode_png, read_mask


@pytest.fixture
def shard(tmp_path, answer, split, monkeypatch):
    """Makes the run of a shard, on masks that are other ones than those that are stored."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    recipe = tmp_path / "given.toml"
    recipe.write_text(
        f'[data]\nroot = "{split.root}"\nsplit = "{split.name}"\n'
        f'[[expert]]\nname = "a"\nmasks = "{answer}"\n[compute]\ndevice = "cpu"\n'
    )

    def run(selection=None):
        return Run(read_recipe(recipe), selection, tmp_path / "out", Reporter("quiet"))

    run().predict()
    for file in answer.rglob("*.png"):
        file.write_bytes(encode_png(~read_mask(file.read_bytes())))
    return lambda number: run(Selection(shard=(number, 2)))


def test_who_comes_second_deletes_no_answer_that_the_first_has_made_anew(shard, monkeypatch):
    first, second = shard(1), shard(2)
    came = threading.Event()  # the first is done, or waits for its turn

    def predict_first():
        first.predict()
        came.set()

    other = threading.Thread(target=predict_first)
    remove, lock = shutil.rmtree, fcntl.flock

    def remove_when_the_first_came(path, *rest, **more):
        if threading.current_thread() is not other and not other.ident:
            other.start()
            assert came.wait(LIMIT)
        remove(path, *rest, **more)

    def lock_and_say(file, operation):
        if threading.current_thread() is not other or operation & fcntl.LOCK_NB:
            return lock(file, operation)
        try:
            return lock(file, operation | fcntl.LOCK_NB)
        except BlockingIOError:
            came.set()
            return lock(file, operation)

    monkeypatch.setattr(shutil, "rmtree", remove_when_the_first_came)
    monkeypatch.setattr(fcntl, "flock", lock_and_say)
    second.predict()  # has compared, and is about to delete, when the first begins
    other.join(LIMIT)
    for run in (first, second):
        store = run.folder.store
        assert store.unanswered("a", run.split) == []
        for video, expression in run.split.sentences():
            masks = store.read("a", video, expression).track
            name = f"{video.name}/{expression.id}/{video.frame_names[0]}.png"
            given = read_mask((run.recipe.folder / "run/Annotations" / name).read_bytes())
            assert (masks.frame(0) == given).all()


def test_who_began_with_other_masks_writes_no_more_of_them(split, tmp_path):
    video, expression = next(split.sentences())
    track = Track.empty(video.size, len(video.frame_names))
    early, late = (PredictionStore(tmp_path) for _ in range(2))
    early.claim("a", {"masks": "old"})
    early.write("a", video.name, expression.id, Prediction(expression.sentence, track))
    late.forget("a", {"masks": "old"})
    late.claim("a", {"masks": "new"})
    with pytest.raises(StoreMismatch, match="another process"):
        early.write("a", video.name, expression.id, Prediction(expression.sentence, track))
    assert not late.path("a", video.name, expression.id).exists()


def test_a_record_that_is_spoilt_meanwhile_costs_no_answer(split, tmp_path):
    video, expression = next(split.sentences())
    track = Track.empty(video.size, len(video.frame_names))
    store = PredictionStore(tmp_path)
    store.claim("a", {"masks": "old"})
    (tmp_path / "a/expert.json").write_text("{")
    store.write("a", video.name, expression.id, Prediction(expression.sentence, track))
    assert store.claim("a", {"masks": "old"}, mend=True) == []
    assert store.unanswered("a", split)[0] != (video, expression)
