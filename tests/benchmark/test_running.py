"""Clips and cases: what is timed, and what is left out."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from scripts.benchmark import launches
from scripts.benchmark.bench import ModelBench
from scripts.benchmark.cases import Case
from scripts.benchmark.clips import clip_size, read_clip, synthetic_clip, there_and_back
from scripts.benchmark.measure import Method
from submission.errors import InputError

CASE = Case("small", frames=40, key_frames=5, sentences=4)


def test_a_short_clip_is_lengthened_without_a_jump():
    assert there_and_back(3, 8) == [0, 1, 2, 1, 0, 1, 2, 1]
    assert there_and_back(1, 3) == [0, 0, 0]


def test_pictures_of_a_folder_become_a_clip(tmp_path):
    for number in range(3):
        Image.new("RGB", (8, 6), (number, 0, 0)).save(tmp_path / f"{number}.png")
    clip = read_clip(tmp_path, 5)
    assert clip.shape == (5, 6, 8, 3)
    assert clip[:, 0, 0, 0].tolist() == [0, 1, 2, 1, 0]
    assert clip_size(tmp_path) == (6, 8)
    Image.new("RGB", (9, 6)).save(tmp_path / "1.png")
    with pytest.raises(InputError, match="different sizes"):
        read_clip(tmp_path, 5)
    with pytest.raises(InputError, match="name a folder that holds one clip"):
        read_clip(tmp_path / "empty", 5)


def test_recorded_parts_leave_less_to_launch(capsys):
    assert launches.main(["--size", "small", "--objects", "2"]) == 0
    row = capsys.readouterr().out.splitlines()[-1].strip("| ").split(" | ")
    called, recorded, graphs = int(row[1]), int(row[2].split()[0]), int(row[2].split()[2])
    assert graphs == 4 + 2  # begin, a layer each, keys, decoder, memory
    assert recorded < called / 2


def test_a_made_up_clip_moves_and_repeats():
    clip = synthetic_clip(5, 70, 90)
    assert clip.shape == (5, 70, 90, 3)
    assert np.array_equal(clip[1, :, :-8], clip[0, :, 8:])
    assert np.array_equal(clip, synthetic_clip(5, 70, 90))
    assert not np.array_equal(clip, synthetic_clip(5, 70, 90, seed=1))


def test_what_does_not_fit_is_told_and_the_others_are_measured(monkeypatch):
    bench, said = ModelBench("cpu", "float32", Method()), []
    monkeypatch.setattr(bench, "measure", lambda case: {"frames": case.frames})
    large = replace(CASE, size="Sa2VA-26B", sentences=10**6)
    outcome = bench.work_through([replace(CASE, frames=8), large, CASE], said.append)
    assert [row["frames"] for row in outcome.rows] == [8, 40]
    (left_out,) = outcome.skipped
    assert "it needs about" in left_out
    assert "skipped" in said[1]
