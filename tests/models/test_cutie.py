"""Cutie against the package that it rests on: recorded runs, and what the package leaves to us."""

import socket
from hashlib import md5
from pathlib import Path

import numpy as np
import pytest
import torch
from models.cutie_cases import (
    CASES,
    CLOSE,
    EVERY,
    ORACLE,
    ORACLE_SETTINGS,
    RECORDED,
    Case,
    cutie,
    needs_oracle,
    oracle,
    weights,
)

from submission.errors import FaultyInput, InputError
from submission.models.cutie import CutieSettings, LongTermMemory
from submission.models.cutie.features import FrameFeatures
from submission.models.cutie.loading import load, recognises
from submission.models.cutie.network import model_table, size_of


# --- parity --------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", CASES)
def test_a_recorded_run_of_the_package_is_repeated(name):
    case = CASES[name]
    result = cutie("small").propagate(case.frames, case.masks, case.settings)
    with np.load(RECORDED / f"{name}.npz") as recorded:
        assert np.array_equal(result.ids, recorded["ids"])
        for time, probabilities in enumerate(result.probabilities):
            expected = recorded[f"prob_{time:03}"]
            np.testing.assert_allclose(
                probabilities[:, ::EVERY, ::EVERY], expected, atol=CLOSE, rtol=0
            )
            assert len(result.objects[time]) == len(expected) - 1


@needs_oracle
def test_the_rule_makes_the_weights_of_the_larger_record():
    lines = (ORACLE / "base_state_dict_keys.txt").read_text().splitlines()
    wanted = {line.split("\t")[0]: line.split("\t")[-1] for line in lines}
    made = weights("base")
    assert {
        name: md5(value.numpy().tobytes()).hexdigest() for name, value in made.items()
    } == wanted


def assert_repeats(name: str, length: int | None) -> None:
    """What comes later cannot change a frame, so that the first frames stand for themselves."""
    size, record = oracle(name)
    frames = record["frames"][:length].transpose(0, 2, 3, 1)
    settings = ORACLE_SETTINGS.get(name, CutieSettings())
    result = cutie(size).propagate(frames, {0: record["ids"][0]}, settings)
    for time, probabilities in enumerate(result.probabilities):
        expected = record[f"prob_{time:03}"]
        np.testing.assert_allclose(probabilities, expected, atol=CLOSE, rtol=0)
        # Where two objects are equally likely, the last bit decides.
        differing = result.ids[time] != record["masks"][time]
        ordered = np.sort(expected, axis=0)
        assert not (differing & (ordered[-1] - ordered[-2] > CLOSE)).any()
        assert np.count_nonzero(differing) <= 2


@needs_oracle
@pytest.mark.parametrize("name", ["base_2obj", "base_1obj", "small_1obj", "base_long_term"])
def test_the_first_frames_of_the_larger_record_are_repeated(name):
    assert_repeats(name, 4)


@needs_oracle
@pytest.mark.slow
@pytest.mark.parametrize("name", ["base_2obj", "base_1obj", "small_1obj", "base_long_term"])
def test_the_larger_record_is_repeated(name):
    assert_repeats(name, None)


# --- candidates and directions -------------------------------------------------------------------
def test_candidates_share_what_is_seen_and_nothing_else():
    model, case = cutie("small"), CASES["from_the_middle_with_full_memory"]
    frames = case.frames[:5]
    candidates = [{time: Case(5, case.size, {time: (one,)}).masks[time]}
                  for time, one in ((0, 1), (2, 1), (2, 3), (4, 2))]  # fmt: skip
    features = model.features()
    got: dict[tuple[int, int], np.ndarray] = {}
    for step in model.propagate_each(frames, candidates, case.settings, features=features):
        assert (step.candidate, step.time) not in got
        got[step.candidate, step.time] = step.probabilities.numpy()
    assert len(got) == 4 * 5
    assert features.encoded == 5
    for number, masks in enumerate(candidates[:2]):
        alone = model.propagate(frames, masks, case.settings)
        for time, expected in enumerate(alone.probabilities):
            assert np.array_equal(got[number, time], expected)


@pytest.mark.parametrize(("budget_bytes", "encoded"), [(8e9, 5), (0, 8)])
def test_a_budget_bounds_what_is_kept_and_changes_no_pixel(budget_bytes, encoded):
    model, case = cutie("small"), CASES["from_the_middle_with_full_memory"]
    frames, mask = case.frames[:5], case.masks[4]
    features = FrameFeatures(model.network, budget_bytes)
    candidates = [{3: mask}, {1: mask}]
    got = [
        float(step.probabilities.double().sum())
        for step in model.propagate_each(frames, candidates, features=features)
    ]
    assert features.encoded == encoded
    assert features.kept_bytes <= budget_bytes
    free = [
        float(step.probabilities.double().sum())
        for step in model.propagate_each(frames, candidates)
    ]
    assert got == free


def test_memory_stays_within_its_frames():
    model, case = cutie("small"), CASES["from_the_middle_with_full_memory"]
    settings = CutieSettings(mem_every=1, max_mem_frames=2)
    tokens = settings.tokens(*case.size)
    features = model.features()
    core = model._candidates(
        model._config(settings, case.size), features, {0: {0: torch.from_numpy(case.masks[4])}}
    )[0]
    seen = []
    for time in range(6):
        with torch.inference_mode():
            core.step(time, torch.rand(3, *case.size), last=False)
        seen.append(max(core._tokens_of_buckets()) // tokens)
    assert seen == [1, 2, 2, 2, 2, 2]


# --- what a mask says ----------------------------------------------------------------------------
def test_objects_that_a_later_mask_does_not_name_keep_their_prediction():
    model, case = cutie("small"), CASES["three_objects_one_late"]
    frames = case.frames[:3]
    both = {0: case.masks[0]}
    named = Case(3, case.size, {2: (2,)}).masks
    plain = model.propagate(frames, both)
    result = model.propagate(frames, both | named)
    assert result.objects[2] == (1, 2)
    assert np.array_equal(result.ids[:2], plain.ids[:2])
    given = named[2] == 2
    assert (result.ids[2][given] == 2).all()
    assert not (result.ids[2][~given] == 2).any()
    # Without the other object's share, what was 1 stays 1, and of the rest nothing else becomes 1.
    first = plain.probabilities[2][1] > 0.5
    assert first.any()
    assert np.array_equal(result.ids[2] == 1, first & ~given)


def test_an_earlier_id_that_enters_late_is_behind_the_known_ones():
    model, case = cutie("small"), CASES["three_objects_one_late"]
    masks = {0: Case(2, case.size, {0: (2,)}).masks[0], 1: Case(2, case.size, {1: (1, 2)}).masks[1]}
    result = model.propagate(case.frames[:2], masks)
    assert result.objects == [(2,), (2, 1)]
    assert np.array_equal(result.ids[1], masks[1])


def test_a_clip_of_fewer_tokens_than_are_read():
    model, case = cutie("small"), Case(4, (48, 64), {0: (1,)})
    settings = CutieSettings(mem_every=5)
    assert settings.tokens(*case.size) == 12
    small = model.propagate(case.frames, case.masks, settings)
    twelve = model.propagate(case.frames, case.masks, CutieSettings(top_k=12))
    for one, other in zip(small.probabilities, twelve.probabilities, strict=True):
        assert np.array_equal(one, other)
    long = CutieSettings(
        mem_every=1, use_long_term=True,
        long_term=LongTermMemory(max_mem_frames=3, min_mem_frames=2, num_prototypes=128),
    )  # fmt: skip
    assert model.propagate(case.frames, case.masks, long).ids.any()


def test_bfloat16_stays_near():
    case = CASES["odd_size"]
    exact = cutie("small").propagate(case.frames, case.masks)
    near = cutie("small", torch.bfloat16).propagate(case.frames, case.masks)
    difference = np.abs(exact.probabilities[1] - near.probabilities[1])
    assert 0 < difference.mean() < 0.05


@pytest.mark.parametrize(
    ("masks", "reason"),
    [
        ({}, "no mask is given"),
        ({9: np.ones((32, 32), np.uint8)}, "frame 9; the video has 2 frames"),
        ({0: np.ones((32, 31), np.uint8)}, "has shape"),
        ({0: np.zeros((32, 32), np.uint8)}, "has no object in it"),
    ],
)
def test_masks_that_fit_no_frame_are_refused(masks, reason):
    with pytest.raises(ValueError, match=reason):
        cutie("small").propagate(np.zeros((2, 32, 32, 3), np.uint8), masks)


@pytest.mark.parametrize(
    "wrong",
    [
        {"mem_every": 0},
        {"max_mem_frames": 0},
        {"top_k": 0},
        {"max_internal_size": 0},
        {"long_term": LongTermMemory(max_mem_frames=5)},
        {"long_term": LongTermMemory(max_num_tokens=100)},
    ],
)
def test_settings_that_mean_nothing_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        CutieSettings(**wrong)


def test_numbers_that_are_not_finite_are_no_masks():
    model = cutie("small")
    frames = np.zeros((2, 80, 112, 3), np.uint8)
    bias = model.network.mask_decoder.pred.bias
    before = bias.clone()
    try:
        bias.fill_(torch.nan)
        with pytest.raises(ArithmeticError, match="frame 1: probabilities are not finite"):
            model.propagate(frames, {0: np.ones((80, 112), np.uint8)})
    finally:
        bias.copy_(before)


# --- the file ------------------------------------------------------------------------------------
@pytest.fixture
def no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise OSError("the network was asked")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def test_a_released_file_is_loaded_without_a_network(tmp_path, no_network):
    from cutie.model.cutie import CUTIE
    from omegaconf import OmegaConf

    torch.save(weights("small"), tmp_path / "a.pth")
    assert recognises(tmp_path)
    model = load(tmp_path, "cpu", "float32")
    filled = model.network.state_dict()
    assert all(torch.equal(value, filled[name]) for name, value in weights("small").items())
    with pytest.raises(OSError, match="the network was asked"):  # the package's own way
        CUTIE(OmegaConf.create({"model": model_table("small")}))


@pytest.mark.parametrize("size", ["base", "small"])
def test_base_and_small_are_told_apart_by_their_names(size):
    assert size_of(weights(size), Path("a.pth")) == size


def test_a_file_that_is_not_quite_cutie_is_refused_with_every_fault(tmp_path):
    tensors = {**weights("small")}
    del tensors["key_proj.d_proj.bias"]
    tensors["adapter.weight"] = torch.ones(1)
    tensors["mask_encoder.conv1.weight"] = tensors["mask_encoder.conv1.weight"][:, :4]
    torch.save(tensors, tmp_path / "a.pth")
    with pytest.raises(FaultyInput) as refusal:
        load(tmp_path / "a.pth", "cpu")
    assert [fault.where for fault in refusal.value.faults] == [
        "adapter.weight", "key_proj.d_proj.bias", "mask_encoder.conv1.weight",
    ]  # fmt: skip
    # The package's own loading says nothing of a foreign name and of hundreds of missing ones.
    cutie("small").network.load_weights({"adapter.weight": torch.ones(1)})


def test_a_file_of_another_model_is_refused_in_a_sentence(tmp_path):
    torch.save({"detr.detr.backbone.weight": torch.ones(2)}, tmp_path / "a.pth")
    with pytest.raises(InputError, match=r"a\.pth: these are not weights of Cutie") as refusal:
        load(tmp_path / "a.pth", "cpu")
    assert "\n" not in str(refusal.value)
    assert not recognises(tmp_path / "a.pth")
    with pytest.raises(
        InputError, match=r"one file of Cutie's weights is needed, and there is none"
    ):
        load(tmp_path / "nothing", "cpu")
