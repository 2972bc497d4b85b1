"""UNINEXT compared with its public code, number by number; weights are random and at true width.

The public code itself swaps a few of the 900 queries when its input changes by 1e-6, so queries are
compared sorted, and the best one by what comes of it.
"""

import numpy as np
import pytest
import torch
from models.cases import SAME_MASK, iou
from models.uninext_cases import (
    BACKBONES,
    ORACLE,
    SMALL,
    UninextCase,
    read_keys,
)

from submission.models.uninext.config import read_config
from submission.models.uninext.model import Sentences, paint
from submission.models.uninext.network import lay_out_network
from submission.models.uninext.released import RELEASED
from submission.models.uninext.tensor_names import ALIAS, NOT_NEEDED, tensor_names

CLOSE = 2e-5  # features, text, memory: what the public code keeps between builds
SCORES_CLOSE, MASK_CLOSE = 2e-3, 1e-3  # where queries swap; its own drift is as large
PIXELS = 100  # of the final mask; its own drift reaches 76

ALONE = {"r50": 836, "convnext_large": 917, "vit_huge": 1024}  # tensors that inference needs
NAMES = dict(zip(ALONE, ("UNINEXT-R50", "UNINEXT-ConvNeXt-L", "UNINEXT-ViT-H"), strict=True))


@pytest.mark.parametrize("size", ALONE)
def test_names_and_shapes_are_those_of_the_released_model(size):
    released = read_keys(size)
    config = read_config(released, size)
    assert config == RELEASED[NAMES[size]]
    network = lay_out_network(config)
    ours = {name: tuple(value.shape) for name, value in network.named_parameters()}
    names = tensor_names(list(ours), network.config)
    assert len(set(names.values())) == len(ours)

    def without_row(shape):  # ConvNeXt's norms are stored as (1, C)
        return shape[1:] if len(shape) == 2 and shape[0] == 1 else shape

    stored = {name: released[key] for name, key in names.items()}
    assert {n for n, shape in ours.items() if without_row(stored[n]) != without_row(shape)} == set()
    rest = released.keys() - set(names.values())
    assert {key for key in rest if not NOT_NEEDED.match(key)} == set()
    assert {key for key in names.values() if NOT_NEEDED.match(key) and key in rest} == set()
    # With the heads of all layers, and without those under a second name, that is what is needed.
    unused_heads = {k for k in rest if k.startswith(("detr.detr.class_embed", "detr.detr.iou"))}
    assert len(names) + len(unused_heads) == ALONE[size]
    assert all(f"detr.detr.{ALIAS.match(k)[1]}" in released for k in rest if ALIAS.match(k))


def compare(case, model, sentences):
    recorded, seen = case.recorded, {}
    network = model.network
    hooks = [
        network.backbone.register_forward_hook(lambda m, a, out: seen.update(maps=out)),
        network.fusion.register_forward_hook(lambda m, a, out: seen.update(fused=out)),
    ]
    features = model.encode_image(case.image)
    with torch.inference_mode():
        found = network.detect(features, sentences.states, sentences.real)
        chosen = found.scores.argmax(1)
        logits = network.draw(features, found, chosen)
        masks = paint(logits, features.size, case.size)
    for hook in hooks:
        hook.remove()

    def off(ours, name):
        theirs = recorded[name]
        return np.abs(ours.numpy()[tuple(slice(size) for size in theirs.shape)] - theirs).max()

    for level, ours in enumerate(seen["maps"]):
        assert off(ours[:, ::8], f"feat{level}") < CLOSE
    assert off(seen["fused"][0][:, ::7], "vl_head") < CLOSE
    assert off(found.memory[:, ::7], "memory_head") < CLOSE
    assert (
        np.abs(np.sort(found.scores[0].numpy()) - np.sort(recorded["score"])).max() < SCORES_CLOSE
    )
    assert chosen.item() == recorded["best"]
    assert off(logits, "best_mask") < MASK_CLOSE
    final = masks[0].numpy()
    assert np.count_nonzero(final != recorded["final"]) <= PIXELS
    assert iou(final, recorded["final"]) > SAME_MASK
    return final, found.scores[0, chosen[0]].item()


def test_the_whole_way_from_recorded_text_gives_the_recorded_mask():
    case = UninextCase("r50_256x320")
    states = torch.from_numpy(case.recorded["bert"])
    sentences = Sentences(states, torch.ones(states.shape[:2], dtype=torch.bool))
    compare(case, case.model(with_text=False), sentences)


@pytest.mark.slow
@pytest.mark.parametrize("folder", [SMALL, ORACLE], ids=["small", "oracle"])
@pytest.mark.parametrize("name", BACKBONES)
def test_image_and_token_ids_give_the_recorded_mask(name, folder):
    case = UninextCase(name, folder)
    if not (folder / f"{name}.npz").is_file():
        pytest.skip(f"{folder} is not there (MEVIS_ORACLE names the record)")
    model = case.model(with_text=True)
    ids, real = (case.recorded[key][0].tolist() for key in ("input_ids", "attention_mask"))
    sentences = model.read_ids([ids[: sum(real)]])
    assert np.abs(sentences.states.numpy() - case.recorded["bert"]).max() < CLOSE
    final, score = compare(case, model, sentences)
    (detection,) = model.detect(model.encode_image(case.image), sentences, case.size)
    assert (detection.mask == final).all()
    assert detection.score == pytest.approx(score)
