"""Experts that are containers: the contract, driven by a local process in place of an engine."""

import json
import shutil
import subprocess
import sys
import tarfile
import textwrap
from pathlib import Path

import pytest
from docker.errors import APIError
from local_engine import DIGEST, IMAGE, LocalContainer, LocalEngine

from submission.cli import main
from submission.errors import FaultyInput, InputError
from submission.experts.container import one_pass
from submission.experts.container.expert import Settings, gpus_of
from submission.experts.container.job import JobFolder, read_scores
from submission.pipeline.wire import Order, words_for
from submission.pipeline.worker import Worker
from submission.recipes.find import read_recipe
from submission.weights.folders import Weights

EXAMPLE = Path(__file__).parents[2] / "examples/expert-container/expert.py"

# A container in a few lines: `video(name, entry)` writes one, as the contract has it.
PROGRAM = """
import json, os, sys
from pathlib import Path
from PIL import Image
job, output = Path(sys.argv[1]), Path(sys.argv[2])
asked = json.loads((job / "meta_expressions.json").read_text())["videos"]
def video(name, entry, size=(40, 24), rename=True, spoil=False):
    place = output / "Annotations" / (name + ".partial" if rename else name)
    for sentence in entry["expressions"]:
        (place / sentence).mkdir(parents=True)
        for frame in entry["frames"]:
            Image.new("1", size).save(place / sentence / f"{frame}.png")
            if spoil:
                (place / sentence / "00000.png").write_bytes(b"no picture")
    if rename:
        place.rename(output / "Annotations" / name)
"""


@pytest.fixture
def engine(tmp_path, monkeypatch):
    engine = LocalEngine(tmp_path / "engine")
    monkeypatch.setattr("submission.container.engine.connect", lambda: engine)
    monkeypatch.setattr(one_pass, "POLL", 0.01)
    return engine


@pytest.fixture
def call(tmp_path, split):
    """Return the words of a call on the tiny split, whose container runs `program`."""

    def words(program="", more="", image=IMAGE, path=None):
        if path is None:
            path = tmp_path / "program.py"
            path.write_text(PROGRAM + textwrap.dedent(program))
        command = json.dumps([sys.executable, str(path), "/job", "/output"])
        (tmp_path / "r.toml").write_text(
            f'[[expert]]\nname = "c"\nkind = "container"\nimage = "{image}"\n'
            f'command = {command}\n{more}\n[compute]\ndevice = "cpu"\n'
        )
        return ["predict", "--recipe", str(tmp_path / "r.toml"), "--data", str(split.root),
                "--split", split.name, "--run", str(tmp_path / "out")]  # fmt: skip

    return words


ALL = "for name, entry in asked.items(): video(name, entry)"


def stored(tmp_path, video, expression):
    return json.loads((tmp_path / f"out/predictions/c/{video}/{expression}.json").read_text())


# --- the example ---------------------------------------------------------------------------------
def test_the_example_answers_as_its_own_masks_would(engine, call, split, tmp_path):
    words = ["submit", *call(path=EXAMPLE)[1:]]
    assert main(words) == 0
    job = [sys.executable, str(EXAMPLE), str(split.folder), str(tmp_path / "by-hand")]
    subprocess.run(job, check=True, capture_output=True)
    (tmp_path / "r.toml").write_text('[[expert]]\nname = "m"\nmasks = "by-hand/Annotations"\n')
    assert main([*words[:-1], str(tmp_path / "other")]) == 0
    ours, theirs = (tmp_path / run / "submission.zip" for run in ("out", "other"))
    assert ours.read_bytes() == theirs.read_bytes()
    assert max(stored(tmp_path, "dogs", "0")["confidence"]) > 0
    assert (tmp_path / "out/containers/c/1/log.txt").read_text().startswith("dogs: 3 sentences")
    assert not (tmp_path / "out/containers/c/1/job").exists()


def test_what_a_container_sees_and_may_do(engine, call, split, tmp_path):
    more = 'memory_gb = 2\ngpus = "device=1"\nenv = {MODE = "fast"}'
    program = """
        assert os.environ["MODE"] == "fast"
        print((job / "meta_expressions.json").read_text())
        print(*sorted(one.name for one in (*job.iterdir(), *(job / "JPEGImages/cups").iterdir())))
        for name, entry in asked.items():
            video(name, entry)
    """
    assert main(call(program, more)) == 0
    (asked,) = engine.started
    assert asked["network_mode"] == "none"
    assert asked["read_only"] is True
    assert asked["cap_drop"] == ["ALL"]
    assert asked["mem_limit"] == 2_000_000_000
    assert asked["device_requests"][0].device_ids == ["1"]
    assert asked["image"] == DIGEST
    assert [one.split(":", 1)[1] for one in asked["volumes"]] == [
        "/job:ro", "/job/JPEGImages:ro", "/output:rw"
    ]  # fmt: skip
    said = (tmp_path / "out/containers/c/1/log.txt").read_text()
    assert "the dog that stops" in said
    assert "anno_id" not in said  # nothing that is true of a sentence
    assert said.endswith("00000.jpg 00001.jpg JPEGImages meta_expressions.json\n")
    identity = json.loads((tmp_path / "out/predictions/c/expert.json").read_text())
    assert identity["image"] == DIGEST
    assert identity["env"] == {"MODE": "fast"}


def test_frames_in_a_tar_are_unpacked_for_the_container(engine, call, split_folder, tmp_path):
    with tarfile.open(split_folder / "JPEGImages.tar", "w") as tar:
        tar.add(split_folder / "JPEGImages", "JPEGImages")
    shutil.rmtree(split_folder / "JPEGImages")
    program = "print(len(list((job / 'JPEGImages').glob('*/*.jpg'))))\n"
    assert main(call(program + ALL)) == 0
    assert (tmp_path / "out/containers/c/1/log.txt").read_text() == "5\n"


def test_a_place_with_a_colon_which_no_engine_can_mount_is_told_before_the_work(
    engine, call, tmp_path, capsys
):
    words = [*call(ALL)[:-1], str(tmp_path / "at 10:30")]
    assert main(words) == 2
    said = capsys.readouterr().err
    assert f"expert c: {tmp_path}/at 10:30: a container cannot see a place with a colon" in said
    assert engine.started == []


# --- what is left --------------------------------------------------------------------------------
CRASH = """
for name, entry in asked.items():
    if name == "cups" and not os.environ.get("FINE"):
        print("\\x1b[31mCUDA error\\nover")
        sys.exit(3)
    video(name, entry)
"""


def test_a_crash_keeps_what_was_finished_and_the_same_command_asks_for_the_rest(
    engine, call, tmp_path, capsys, monkeypatch
):
    assert main(call(CRASH)) == 2
    said = capsys.readouterr().err
    assert "it ended with exit status 3; the last it printed:\n  CUDA error\n  over" in said
    assert "expert c, video cups: the container was at this video when it ended" in said
    assert "log.txt" in said
    assert stored(tmp_path, "dogs", "2")["sentence"] == "both dogs"
    (tmp_path / "out/predictions/c/dogs/2.json").unlink()
    monkeypatch.setenv("FINE", "yes")
    listing = "print({name: list(entry['expressions']) for name, entry in asked.items()})\n"
    assert main(call(listing + CRASH)) == 0
    said = (tmp_path / "out/containers/c/1/log.txt").read_text()
    assert said == "{'dogs': ['2'], 'cups': ['0']}\n"


def test_a_crash_at_one_video_leaves_the_others_to_another_start(engine, call, tmp_path, capsys):
    program = """
        for name, entry in asked.items():
            if name == "dogs":
                sys.exit(1)
            video(name, entry)
    """
    assert main(call(program)) == 2
    assert len(engine.started) == 2
    assert stored(tmp_path, "cups", "0")
    assert not (tmp_path / "out/predictions/c/dogs").exists()


def test_one_that_never_finishes_a_video_is_given_up(engine, call, capsys):
    assert main(call("print('no GPU'); sys.exit(1)")) == 2
    said = capsys.readouterr().err
    assert len(engine.started) == one_pass.MOST_BARREN
    assert said.count("no GPU") == 2
    assert engine.history.count("remove") == len(engine.started)


def test_what_ends_well_is_not_started_again(engine, call, capsys):
    assert main(call("video('cups', asked['cups'])")) == 2
    said = capsys.readouterr().err
    assert len(engine.started) == 1
    assert "video dogs: the container has ended without an answer to this video" in said


def test_time_is_up_when_no_video_is_finished(engine, call, capsys):
    program = "import time\nvideo('dogs', asked['dogs'])\ntime.sleep(60)"
    assert main(call(program, "time_limit_s = 0.6")) == 2
    assert "stop" in engine.history
    assert "no video was finished for 0.6 s (time_limit_s)" in capsys.readouterr().err


def test_an_interrupt_stops_the_container_and_its_finished_videos_are_taken_up(
    engine, call, tmp_path, monkeypatch
):
    # The last video is finished first, and then the kit is stopped: it has not read it yet.
    program = """
        import time
        for name in reversed(asked):
            print("asked", name, flush=True)
            if name == "dogs" and not os.environ.get("FINE"):
                time.sleep(60)
            video(name, asked[name])
    """
    look = one_pass.ContainerPass._look

    def interrupted(self):
        if "cups" in self.folder.finished():
            raise KeyboardInterrupt
        return look(self)

    monkeypatch.setattr(one_pass.ContainerPass, "_look", interrupted)
    assert main(call(program)) == 130
    assert engine.history == ["stop", "remove"]
    monkeypatch.setattr(one_pass.ContainerPass, "_look", look)
    monkeypatch.setenv("FINE", "yes")
    shutil.copytree(tmp_path / "out", tmp_path / "again")
    log = tmp_path / "out/containers/c/1/log.txt"
    assert main(call(program)) == 0
    assert log.read_text() == "asked dogs\n"
    shutil.rmtree(tmp_path / "out")  # of another environment the same videos are asked again
    shutil.copytree(tmp_path / "again", tmp_path / "out")
    (tmp_path / "out/predictions/c/expert.json").unlink()
    assert main(call(program, 'env = {A = "B"}')) == 0
    assert log.read_text() == "asked cups\nasked dogs\n"


def test_a_container_that_outlived_its_kit_is_removed_before_it_is_seen_what_lies_there(
    engine, call, monkeypatch
):
    removed = []

    class Old:
        def remove(self, force):
            removed.append(force)
            engine.left_behind = []

    engine.left_behind = [Old()]
    begin = JobFolder.begin

    def begin_slowly(self, *arguments):
        begin(self, *arguments)
        if engine.left_behind:  # it goes on writing, as another image or another command has it
            (self.output / "Annotations/cups/0").mkdir(parents=True)

    monkeypatch.setattr(JobFolder, "begin", begin_slowly)
    assert main(call(ALL)) == 0
    assert removed == [True]


def test_a_worker_that_learns_of_one_video_at_a_time_starts_a_container_for_each(
    engine, call, split, tmp_path, monkeypatch
):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    call(CRASH)
    recipe = read_recipe(str(tmp_path / "r.toml")).with_data(split.root, split.name, None)
    worker = Worker(words_for(recipe, split, Weights(), "cpu", hash_all=False))
    (done,) = worker.work(Order("dogs", ("c",), {}))
    assert [one.id for one, _ in done.answers] == ["0", "2", "10"]
    assert done.faults == ()
    (failed,) = worker.work(Order("cups", ("c",), {}))
    assert "cups: the container was at this video" in str(failed.faults[0])
    assert len(engine.started) == 2
    (log,) = tmp_path.glob("mevis-c-*/1/log.txt")  # that of the first is gone
    assert str(log) in str(failed.faults[0])


# --- what is wrong -------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("video('cups', asked['cups'], size=(40, 23))", "23"),
        ("video('cups', asked['cups'], spoil=True)", "cups/0/00000.png"),
        ("video('cups', {**asked['cups'], 'frames': ['00000']})", "cups/0/00001.png"),
        ("video('cups', {**asked['cups'], 'frames': ['0', '1']})", "zeros"),
        ("video('cups', asked['cups'])\n(output / 'notes.txt').touch()", None),
    ],
)
def test_wrong_masks_are_told_by_video_and_the_others_kept(
    engine, call, tmp_path, capsys, program, words
):
    status = main(call("video('dogs', asked['dogs'])\n" + program))
    assert stored(tmp_path, "dogs", "0")
    if words is None:  # negative control: nothing is wrong with it
        assert status == 0
        return
    assert status == 2
    said = capsys.readouterr().err
    assert "expert c, video cups: " in said
    assert words in said
    assert (tmp_path / "out/containers/c/1/taken/cups").is_dir()  # to be looked at


def test_links_are_no_masks(engine, call, tmp_path, capsys):
    program = """
        (output / "Annotations/dogs.partial").mkdir(parents=True)
        for one in asked["dogs"]["expressions"]:
            (output / "Annotations/dogs.partial" / one).symlink_to(job)
        (output / "Annotations/dogs.partial").rename(output / "Annotations/dogs")
        (output / "Annotations/cups").symlink_to(job / "JPEGImages/cups")
    """
    assert main(call(program)) == 2
    said = capsys.readouterr().err
    assert "a link; masks must be files" in said
    assert "video cups: the container has ended without an answer" in said


def test_masks_that_are_written_in_place_are_waited_for(engine, call, tmp_path):
    program = """
        import time
        for name, entry in asked.items():
            for one in entry["expressions"]:
                video(name, {**entry, "expressions": [one]}, rename=False)
                time.sleep(0.1)
    """
    assert main(call(program)) == 0


def test_scores_are_kept_as_confidence(split, tmp_path):
    video = split.videos[0]
    path = tmp_path / "scores.json"
    assert read_scores(path, video) == {}
    path.write_text('{"0": 0.51234, "2": [1, null, 0.5]}')
    assert read_scores(path, video) == {"0": [0.512] * 3, "2": [1.0, None, 0.5]}
    for wrong in ('{"0": [1, 2]}', '{"0": NaN}', '{"0": "x"}', '{"9": 1}', '{"0": null}', "[]"):
        path.write_text(wrong)
        with pytest.raises(InputError, match=r"scores\.json"):
            read_scores(path, video)


# --- before it runs ------------------------------------------------------------------------------
def test_a_dry_run_says_what_would_run_and_starts_nothing(engine, call, capsys):
    assert main([*call(), "--dry-run"]) == 0
    assert f"expert     c: container {IMAGE} (Local Engine 1 has it)" in capsys.readouterr().out
    assert main([*call(image=f"other@{DIGEST}"), "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert f"warning    expert c cannot be started: there is no image other@{DIGEST}" in said
    assert f"docker pull other@{DIGEST}" in said
    assert engine.started == []


def test_an_image_that_is_not_there_is_told_before_any_work(engine, call, tmp_path, capsys):
    assert main(call(image=f"other@{DIGEST}")) == 2
    assert f"'docker pull other@{DIGEST}'" in capsys.readouterr().err
    assert not (tmp_path / "out/containers").exists()


def test_without_an_engine_that_is_told_and_finished_work_needs_none(
    engine, call, tmp_path, capsys, monkeypatch
):
    assert main(call(ALL)) == 0
    monkeypatch.undo()
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:9")
    assert main(call(ALL)) == 0
    mark = tmp_path / ".dockerenv"
    monkeypatch.setattr("submission.container.engine.MARKS_OF_A_CONTAINER", (mark,))
    for inside in (False, True):
        shutil.rmtree(tmp_path / "out")
        capsys.readouterr()
        assert main(call(ALL)) == 2
        said = capsys.readouterr().err
        assert "No container engine answers at tcp://127.0.0.1:9" in said
        assert ("The kit itself runs in a container" in said) is inside
        mark.touch()


def test_a_tag_is_refused_unless_allowed_and_then_its_digest_is_kept(
    engine, call, tmp_path, capsys
):
    engine._images.add("motion:1")
    assert main(call(ALL, image="motion:1")) == 2
    assert "may mean another image tomorrow" in capsys.readouterr().err
    assert main(call(ALL, "allow_tag = true", image="motion:1")) == 0
    identity = json.loads((tmp_path / "out/predictions/c/expert.json").read_text())
    assert identity["image"] == DIGEST
    assert main(call(ALL, image=DIGEST)) == 0  # the same image by its id: nothing is asked again
    assert len(engine.started) == 1


def test_all_that_is_wrong_in_the_settings_is_told_at_once():
    with pytest.raises(FaultyInput) as caught:
        Settings("x@sha256:12", env={"A=B": "1"}, gpus="some")
    assert [fault.where for fault in caught.value.faults] == ["image", "env", "gpus"]


@pytest.mark.parametrize(
    ("device", "visible", "gpus"),
    [
        ("cpu", None, "none"),
        ("cuda", None, "all"),
        ("cuda:1", None, "device=1"),
        ("cuda", "2,3", "device=2,3"),
        ("cuda:1", "2,3", "device=3"),
    ],
)
def test_a_container_gets_the_gpus_of_the_run(device, visible, gpus):
    assert gpus_of(device, visible) == gpus


def test_a_refusal_of_the_engine_is_a_sentence(engine, call, capsys):
    def refuse(**options):
        raise APIError("500", explanation='could not select device driver ""')

    engine.containers.create = refuse
    assert main(call(ALL)) == 2
    said = capsys.readouterr().err
    assert said.count('gpus = "none" in a recipe') == 1
    assert "video cups: the container was not started" in said


def test_an_engine_that_goes_away_is_told_and_what_was_finished_is_kept(
    engine, call, tmp_path, capsys, monkeypatch
):
    def gone(self, *_, **__):
        raise ConnectionError("refused")

    monkeypatch.setattr(LocalContainer, "wait", gone)
    remove = LocalContainer.remove
    monkeypatch.setattr(
        LocalContainer, "remove", lambda self, force: (remove(self, force), gone(self))
    )
    assert main(call("video('dogs', asked['dogs'])")) == 2
    said = capsys.readouterr().err
    assert "video cups: the container was at this video when its engine did not answer" in said
    assert stored(tmp_path, "dogs", "0")
