"""The comparison with golden outputs: it notices one pixel, and everything else that may change."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_split import square

from scripts.regress.difference import PIXELS_ELSEWHERE, compare, mask_changes, table
from scripts.regress.golden import collect, read_golden, write_golden
from scripts.regress.overlays import BOTH, ONLY_GOLDEN, ONLY_NOW, draw, draw_changes
from submission.dataset.frames import open_frames
from submission.dataset.rle import decode, encode
from submission.masks.store import Prediction
from submission.masks.track import Track
from submission.output.png_files import write_track
from submission.output.zip_file import write_zip
from submission.pipeline.score import score_run
from submission.run.folder import RunFolder
from submission.terminal.progress import Reporter

ROOT = Path(__file__).parents[1]
EXPERT = "uniform5"
SENTENCE = f"{EXPERT} dogs/2"


@pytest.fixture
def record(split, tmp_path):
    """What a small run without a model gave."""
    run = RunFolder(tmp_path / "run")
    for video in split.videos:
        for expression in video.expressions:
            frames = range(len(video.frame_names))
            track = Track.encode(square(3, frame) for frame in frames)
            details = {"text": "It is [SEG].", "key_frames": [0, 1], "num_seg": 1}
            answer = Prediction(expression.sentence, track, details)
            run.store.write(EXPERT, video.name, expression.id, answer)
            write_track(run.annotations / video.name / expression.id, video.frame_names, track)
    write_zip(run.annotations, split, run.zip)
    with Reporter("quiet") as reporter:
        score_run(split, run, reporter)
    return collect(run.path, split, [EXPERT])


def flip(record, sentence, pixels):
    """The record with that many pixels of the second frame of a sentence flipped."""
    size = tuple(record.sizes["dogs"])
    mask = decode(record.masks[sentence][1].encode(), size).copy()
    mask.flat[:pixels] ^= True
    masks = list(record.masks[sentence])
    masks[1] = encode(mask).decode()
    return replace(record, masks={**record.masks, sentence: masks})


def kinds(differences):
    return {one.what for one in differences}


def test_a_record_equals_itself_also_after_it_was_kept(record, tmp_path):
    write_golden(tmp_path / "golden", record)
    assert read_golden(tmp_path / "golden") == record
    assert compare(record, record) == []
    assert read_golden(tmp_path / "elsewhere") is None


def test_the_same_record_is_kept_as_the_same_bytes(record, tmp_path):
    for name in ("a", "b"):
        write_golden(tmp_path / name, record)
    for file in (tmp_path / "a").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()


@pytest.mark.parametrize("sentence", [SENTENCE, "vote dogs/2"])
def test_one_flipped_pixel_is_noticed(record, sentence):
    (found,) = compare(record, flip(record, sentence, 1))
    assert (found.what, found.where, found.now) == (
        "mask", f"{sentence} 00001", "other by 1 pixel",
    )  # fmt: skip


def test_another_platform_may_move_a_few_pixels_and_no_more(record):
    elsewhere = replace(record, platform={**record.platform, "instructions": "another"})
    few = flip(elsewhere, SENTENCE, PIXELS_ELSEWHERE)
    many = flip(elsewhere, SENTENCE, PIXELS_ELSEWHERE + 1)
    assert compare(record, few) == []
    assert kinds(compare(record, few, exact=True)) == {"mask"}
    assert kinds(compare(record, many)) == {"mask"}


def test_every_other_change_is_noticed_on_any_platform(record):
    elsewhere = replace(record, platform={**record.platform, "cpu": "another"})
    answer = record.answers[SENTENCE]
    file = next(iter(record.files))
    score = next(iter(record.scores))
    changed = {
        "text": replace(elsewhere, answers={**record.answers, SENTENCE: {**answer, "text": "No."}}),
        "key_frames": replace(
            elsewhere, answers={**record.answers, SENTENCE: {**answer, "key_frames": [0, 2]}}
        ),
        "answer": replace(elsewhere, answers={"another": answer}),
        "frames": replace(elsewhere, frames={**record.frames, "dogs": ["00000"]}),
        "size": replace(elsewhere, sizes={**record.sizes, "cups": [1, 1]}),
        "masks": replace(elsewhere, masks={**record.masks, SENTENCE: record.masks[SENTENCE][:1]}),
        "J, F": replace(elsewhere, scores={**record.scores, score: [0.5, 0.5]}),
        "bytes": replace(elsewhere, files={**record.files, file: "0" * 16}),
        "file in zip": replace(
            elsewhere, files={name: value for name, value in record.files.items() if name != file}
        ),
        "zip": replace(elsewhere, files=dict(reversed(record.files.items()))),
    }
    for what, now in changed.items():
        assert what in kinds(compare(record, now)), what


def test_the_bytes_of_a_png_may_differ_with_another_zlib_only(record):
    file = next(iter(record.files))
    repacked = {**record.files, file: "0" * 16}
    other_zlib = {**record.platform, "zlib": "another"}
    assert kinds(compare(record, replace(record, files=repacked))) == {"bytes"}
    assert compare(record, replace(record, files=repacked, platform=other_zlib)) == []


def test_a_score_follows_its_mask_elsewhere_but_not_alone(record):
    elsewhere = replace(record, platform={**record.platform, "cpu": "another"})
    j, f = record.scores[SENTENCE]
    moved = {**record.scores, SENTENCE: [j + 0.001, f]}
    assert kinds(compare(record, replace(elsewhere, scores=moved))) == {"J, F"}
    assert compare(record, replace(flip(elsewhere, SENTENCE, 1), scores=moved)) == []


def test_the_table_names_the_place_and_both_values(record):
    answer = {**record.answers[SENTENCE], "text": "It is gone."}
    now = replace(record, answers={**record.answers, SENTENCE: answer})
    text = "\n".join(table(compare(record, now)))
    assert SENTENCE in text
    assert "It is [SEG]." in text
    assert "It is gone." in text


def test_a_changed_frame_is_drawn_in_three_colours(record, split, tmp_path):
    now = flip(record, SENTENCE, 50)
    paths = draw_changes(
        tmp_path / "pictures", mask_changes(record, now), (record, now), split, open_frames(split)
    )
    assert [path.name for path in paths] == [f"{EXPERT}-dogs-2-00001.png"]
    with Image.open(paths[0]) as picture:
        assert picture.size[0] == 4 * record.sizes["dogs"][1]
    black, full = np.zeros((8, 12, 3), np.uint8), np.zeros((8, 12), bool)
    golden, seen = full.copy(), full.copy()
    golden[:4], seen[2:6] = True, True
    pixels = np.asarray(draw(black, golden, seen, 48))
    colours = {tuple(colour) for colour in pixels[18:].reshape(-1, 3)}
    faded = tuple(int(0.35 * channel) for channel in BOTH)
    assert colours == {(0, 0, 0), ONLY_GOLDEN, ONLY_NOW, faded}


def test_the_golden_outputs_that_come_along_can_be_read_and_are_of_the_sample():
    golden = read_golden(ROOT / "tests/golden")
    meta = ROOT / "submission/samples/mevis/valid_u/meta_expressions.json"
    videos = json.loads(meta.read_text())["videos"]
    assert golden.frames == {name: sorted(video["frames"]) for name, video in videos.items()}
    assert {sentence.partition(" ")[0] for sentence in golden.masks} == {
        "first5", "uniform5", "uniform6", "uniform11", "vote",
    }  # fmt: skip
    total = sum(len(video["frames"]) * len(video["expressions"]) for video in videos.values())
    assert len(golden.files) == total
