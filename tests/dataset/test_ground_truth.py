"""True masks are unions of annotations in the order of the frames; damaged ones are refused."""

import json

import numpy as np
import pycocotools.mask as maskUtils
import pytest
from tiny_split import HEIGHT, WIDTH, meta, rle, square, write_meta

from submission.dataset.ground_truth import read_ground_truth
from submission.dataset.mevis import read_split
from submission.errors import FaultyInput, InputError


def change_masks(split, change):
    path = split.folder / "mask_dict.json"
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


def test_masks_are_the_union_of_the_objects(split):
    dogs = split.videos[0]
    truth = read_ground_truth(split)
    both = truth.masks(dogs, dogs.expressions[1])
    assert both.dtype == np.bool_
    assert np.array_equal(both[0], square(2, 0))  # the second dog is not there yet
    assert np.array_equal(both[1], square(2, 1) | square(20, 1))


def test_uncompressed_run_lengths_are_read_like_compressed_ones(split):
    dogs = split.videos[0]
    before = read_ground_truth(split).masks(dogs, dogs.expressions[1])

    def unpack(masks):
        for item in [*masks["7"], *masks["8"]]:
            if item:
                pixels = maskUtils.decode(item).T.reshape(-1)
                edges = np.flatnonzero(np.diff(pixels, prepend=0)).tolist()
                item["counts"] = np.diff([0, *edges, pixels.size]).tolist()

    change_masks(split, unpack)
    assert isinstance(json.loads(split.mask_file.read_text())["7"][0]["counts"], list)
    assert np.array_equal(read_ground_truth(split).masks(dogs, dogs.expressions[1]), before)


def test_a_no_target_sentence_has_empty_masks(split):
    dogs = split.videos[0]
    masks = read_ground_truth(split).masks(dogs, dogs.expressions[0])
    assert masks.shape == (3, HEIGHT, WIDTH)
    assert not masks.any()


def test_masks_follow_the_meta_file_when_it_lists_frames_out_of_order(split_folder):
    value = meta()
    value["videos"]["dogs"]["frames"] = ["00002", "00000", "00001"]
    write_meta(split_folder, value)
    split = read_split(split_folder.parent, split_folder.name)
    dogs = split.videos[0]
    masks = read_ground_truth(split).masks(dogs, dogs.expressions[2])
    assert dogs.frame_names == ("00002", "00000", "00001")
    assert not masks[0].any()  # the first item belongs to the frame that is listed first
    assert np.array_equal(masks[1], square(20, 1))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda masks: masks.pop("8"), "annotation 8: it is missing"),
        (lambda masks: masks["8"].pop(), "annotation 8: it has 2 masks for 3 frames"),
        (lambda masks: masks.update({"8": {}}), "annotation 8: it must be a list"),
        (
            lambda masks: masks["8"].__setitem__(1, rle(np.zeros((5, 5), dtype=bool))),
            "annotation 8: frame 00001: its mask has size [5, 5], the video [24, 40]",
        ),
        (lambda masks: masks["8"].__setitem__(2, [1, 2]), "not a run-length encoding"),
        (lambda masks: masks["8"][1].update(counts="1"), "cover 1 pixels, not 40 x 24 = 960"),
        (lambda masks: masks["8"][1].update(counts="\u00e9"), "not COCO's compressed text"),
        (lambda masks: masks["8"][1].update(counts="b'0]3'"), "Python bytes written as text"),
        (lambda masks: masks["8"][1].update(counts=[5, -5, 960]), "whole numbers from 0 to 960"),
        (lambda masks: masks["8"][1].update(counts=[5, 5.0, 950]), "whole numbers from 0 to 960"),
        (lambda masks: masks["8"][1].update(counts=[10**40]), "whole numbers from 0 to 960"),
        (lambda masks: masks["8"][1].update(counts=[]), "whole numbers from 0 to 960"),
        (lambda masks: masks["8"][1].update(counts=[5, 950]), "cover 955 pixels, not 40 x 24"),
    ],
)
def test_each_fault_is_told_for_every_sentence_that_needs_it(split, change, expected):
    change_masks(split, change)
    with pytest.raises(FaultyInput) as caught:
        read_ground_truth(split)
    faults = [str(fault) for fault in caught.value.faults]
    assert [fault.split(": ")[0] for fault in faults] == [
        "mask_dict.json, video dogs, expression 2",
        "mask_dict.json, video dogs, expression 10",
    ]
    assert all(expected in fault for fault in faults)


def test_an_annotation_of_another_video_is_refused(split_folder):
    value = meta()
    value["videos"]["cups"]["expressions"]["0"]["anno_id"] = [7]
    write_meta(split_folder, value)
    split = read_split(split_folder.parent, split_folder.name)
    with pytest.raises(FaultyInput, match="video cups, expression 0: annotation 7: it has 3 masks"):
        read_ground_truth(split)


def test_a_split_without_ground_truth_is_refused(split):
    (split.folder / "mask_dict.json").unlink()
    with pytest.raises(InputError, match="no ground truth to score with"):
        read_ground_truth(split)


def test_sentences_without_annotation_ids_are_refused(split_folder):
    value = meta()
    del value["videos"]["cups"]["expressions"]["0"]["anno_id"]
    write_meta(split_folder, value)
    with pytest.raises(FaultyInput, match="no anno_id for this sentence"):
        read_ground_truth(read_split(split_folder.parent, split_folder.name))
