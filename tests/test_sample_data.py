"""The sample split: the scene decides its sentences, masks match the picture, files are as made."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from scripts.sample_data.check_split import differences
from scripts.sample_data.motion import Program, follow
from scripts.sample_data.render import render
from scripts.sample_data.scene import Scene, Shape
from scripts.sample_data.sentences import STATEMENTS, targets
from scripts.sample_data.write_split import PLANS, draw_clips

SAMPLE = Path(__file__).parents[1] / "submission/samples/mevis/valid_u"
CLIPS, SEED = 10, 7


def make_scene(*programs, num_frames=8):
    """Shapes of different colour in a row, one for each program."""
    shapes = tuple(
        Shape("disk", (200, 20 + 60 * i, 40), 10.0, 0.0, program, (40.0 + 30 * i, 64.0), num_frames)
        for i, program in enumerate(programs)
    )
    return Scene(shapes, num_frames, background_seed=1)


def meant_by(wording, scene):
    """The targets of the one statement that has this wording."""
    (statement,) = [s for s in STATEMENTS if wording in s.of_one + s.of_several]
    return targets(statement, scene)


STILL, GROWS, CIRCLES = Program("still"), Program("grows"), Program("circles", reach=10)
RIGHT, LEFT = Program("moves", "right", 30), Program("moves", "left", 30)
FAR, BACK = Program("moves", "right", 80), Program("turns back", "right", 30)


@pytest.mark.parametrize(
    ("wording", "programs", "expected"),
    [
        ("The one moving to the right", (STILL, RIGHT), (1,)),
        ("The ones moving to the right", (RIGHT, LEFT, FAR), (0, 2)),
        ("The one moving to the right", (STILL, LEFT), ()),
        ("The one moving to the right", (STILL, BACK), None),  # it moves right, and left too
        ("The one moving upwards", (STILL, BACK), ()),
        ("The one moving upwards", (STILL, CIRCLES), None),
        ("The one that stays still", (STILL, RIGHT), (0,)),
        ("The one that stays still", (STILL, GROWS), None),  # growing in place: still or not?
        ("The one that travels the farthest", (RIGHT, FAR), (1,)),
        ("The one that travels the farthest", (RIGHT, LEFT), None),
        ("The one moving against all the others", (RIGHT, LEFT, FAR), (1,)),
        ("The one moving against all the others", (RIGHT, LEFT), None),
        ("The only one that moves while the others stay still", (STILL, RIGHT, STILL), (1,)),
        ("The only one that stays still while the others move", (STILL, RIGHT, LEFT), (0,)),
        ("The one growing larger", (GROWS, RIGHT), (0,)),
    ],
)
def test_the_scene_decides_whom_a_sentence_means(wording, programs, expected):
    assert meant_by(wording, make_scene(*programs)) == expected


@pytest.mark.parametrize(
    ("program", "first", "middle", "last"),
    [
        (Program("moves", "right", 40), (0, 0), (20, 0), (40, 0)),
        (Program("stops", "up", 40), (0, 0), (0, -40), (0, -40)),
        (Program("starts late", "down", 40), (0, 0), (0, 0), (0, 40)),
        (Program("turns back", "left", 40), (0, 0), (-40, 0), (0, 0)),
    ],
)
def test_programs_lead_where_they_say(program, first, middle, last):
    offsets = follow(program, 9).offsets
    assert offsets[[0, 4, 8]].tolist() == [list(first), list(middle), list(last)]


def test_growing_covers_more_pixels_and_leaving_ends_with_none():
    scene = make_scene(GROWS, Program("leaves", "down", 200))
    _, masks = render(scene)
    areas = masks.sum(axis=(2, 3))
    assert areas[0, -1] > 4 * areas[0, 0]
    assert areas[1, 0] > 0
    assert areas[1, -1] == 0


def test_a_pixel_belongs_to_the_foremost_shape_only():
    scene = make_scene(RIGHT, STILL)  # the first passes behind the second
    _, masks = render(scene)
    assert not (masks[0] & masks[1]).any()
    assert masks[1].sum(axis=(1, 2)).min() == masks[1].sum(axis=(1, 2)).max()
    assert masks[0, -1].sum() < masks[0, 0].sum()


def test_every_program_occurs_and_sentences_mean_one_several_or_nobody():
    clips = list(draw_clips(CLIPS, SEED))
    kinds = {shape.program.kind for clip in clips for shape in clip.scene.shapes}
    assert len(kinds) == 9
    counts = {len(sentence.targets) for clip in clips for sentence in clip.sentences}
    assert counts == {0, 1, 2}


def test_the_ground_truth_on_disk_is_where_the_picture_shows_the_object():
    meta = json.loads((SAMPLE / "meta_expressions.json").read_text())["videos"]
    mask_dict = json.loads((SAMPLE / "mask_dict.json").read_text())
    for clip in draw_clips(CLIPS, SEED):
        for expression in meta[clip.name]["expressions"].values():
            for index, annotation in zip(expression["obj_id"], expression["anno_id"], strict=True):
                colour = clip.scene.shapes[index].colour
                assert seen_as(colour, clip.name, mask_dict[str(annotation)]) > 3


def seen_as(colour, clip_name, track):
    """In how many frames the pixels under a mask are seen; they must have the object's colour."""
    seen = 0
    for t, rle in enumerate(track):
        mask = None if rle is None else coco_mask.decode(rle).astype(bool)
        if mask is not None and mask.sum() > 40:  # JPEG blurs the colour of slivers
            pixels = np.asarray(Image.open(SAMPLE / "JPEGImages" / clip_name / f"{t:05d}.jpg"))
            assert np.abs(np.median(pixels[mask], axis=0) - colour).max() < 45
            seen += 1
    return seen


def test_the_carried_split_is_what_the_generator_makes(tmp_path):
    assert differences(SAMPLE, PLANS["sample"]) == []
    copy = shutil.copytree(SAMPLE, tmp_path / "copy")
    frames = copy / "JPEGImages/clip_00"
    Image.new("RGB", (192, 128)).save(frames / "00001.jpg")
    (frames / "00002.jpg").unlink()
    (frames / "extra.jpg").write_bytes(b"")
    (copy / "meta_expressions.json").write_text("{}")
    assert differences(copy, PLANS["sample"]) == [
        "JPEGImages/clip_00/00002.jpg: missing",
        "JPEGImages/clip_00/extra.jpg: not made by the generator",
        "JPEGImages/clip_00/00001.jpg: differs from what the generator makes",
        "meta_expressions.json: differs from what the generator makes",
    ]


def test_the_carried_split_stays_small():
    assert sum(path.stat().st_size for path in SAMPLE.rglob("*") if path.is_file()) < 600_000
