"""Cases of Sa2VA on Qwen-VL that no record has, against the library's own classes.

Uniform key frames, frames that are shrunk to a grid that is not square, and two [SEG]; the library
reads prompt and answer in one piece, with its own image processor and its own positions.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from models.cases import assert_close
from models.plain_qwenvl import write_sa2va
from models.trace import hooked
from PIL import Image

from submission.errors import FaultyInput, InputError
from submission.models.quantized import Int8Linear
from submission.models.sa2va.loading import load
from submission.models.sa2va.qwenvl import KIND
from submission.models.sa2va.settings import CELL, Settings
from submission.video.sampling import key_frames
from submission.weights.tensors import loaded_bytes

FAMILIES = ("qwen3", "qwen2_5")
SENTENCE = "the dog that turns left"
CASES = {
    "uniform": (Settings(frames=3, min_pixels=16 * CELL, max_pixels=32 * CELL), "It is [SEG]."),
    "shrunk": (Settings(frames=2, min_pixels=4 * CELL, max_pixels=12 * CELL), "It is [SEG]."),
    "two": (Settings(frames=2, min_pixels=4 * CELL, max_pixels=12 * CELL), "[SEG] and [SEG]."),
}


@pytest.fixture(scope="module", params=FAMILIES)
def pair(request, tmp_path_factory):
    """The library's model and ours, of the same weights."""
    folder = tmp_path_factory.mktemp("own") / request.param
    library = write_sa2va(folder, request.param)
    return request.param, library, load(folder, "cpu", "float32")


def frames() -> np.ndarray:
    drawn = np.random.default_rng(1).integers(0, 256, (8, 15, 25, 3), np.uint8)
    return np.stack([np.array(Image.fromarray(one).resize((250, 150))) for one in drawn])


def librarys_states(family, library, model, settings: Settings, answer: str):
    """States of the answer's [SEG], as the released weights want them, and the grid."""
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    config, shown = model.config, frames()[list(key_frames(8, settings.frames, settings.sampling))]
    processor = Qwen2VLImageProcessorPil(
        patch_size=config.patch, merge_size=config.merge, image_mean=list(config.mean),
        image_std=list(config.std),
        size={"shortest_edge": settings.min_pixels, "longest_edge": settings.max_pixels},
    )  # fmt: skip
    # The public code's helper resizes first: sides to the nearest multiple of 28.
    first = [Image.fromarray(one).resize((252, 140), Image.Resampling.BICUBIC) for one in shown]
    made = processor(first, return_tensors="pt")
    rows, columns = (int(side) // 2 for side in made["image_grid_thw"][0][1:])
    tokens = model.tokenizer
    image = tokens.find("<|image_pad|>")
    one = [tokens.find("<|vision_start|>"), *[image] * rows * columns,
           tokens.find("<|vision_end|>")]  # fmt: skip
    ids = [
        *tokens.encode("<|im_start|>user\n"), *one * len(shown),
        *tokens.encode(f"\nPlease segment {SENTENCE}.<|im_end|>\n<|im_start|>assistant\n"),
        *tokens.encode(answer),
    ]  # fmt: skip
    states = []
    norm = library.model.language_model.norm
    normed = family == "qwen2_5"
    with hooked({norm: lambda module, given, out: states.append(out if normed else given[0])}):
        whole = torch.tensor([ids])
        with torch.inference_mode():
            library(
                input_ids=whole, attention_mask=torch.ones_like(whole),
                mm_token_type_ids=(whole == image).int(), **made,
            )  # fmt: skip
    places = [place for place, token in enumerate(ids) if token == tokens.find("[SEG]")]
    return states[0][0][places], (rows, columns)


@pytest.mark.parametrize("case", CASES)
def test_states_of_seg_are_those_of_the_library(pair, case):
    family, library, model = pair
    settings, answer = CASES[case]
    wanted, (rows, columns) = librarys_states(family, library, model, settings, answer)
    assert rows != columns
    given = []
    with hooked({model.network.seg_projector: lambda module, args, made: given.append(args[0])}):
        (found,) = model.segment(
            frames(), [SENTENCE], replace(settings, seg="union"), answers=[answer + "<|im_end|>"]
        )
    assert found.num_seg == answer.count("[SEG]") == len(wanted)
    assert_close(given[0], wanted)
    if len(wanted) == 2:
        assert not torch.allclose(wanted[0], wanted[1], atol=1e-3)


def test_other_frames_are_other_states(pair):
    """Negative control: the first frames in place of uniform ones would have been seen."""
    family, library, model = pair
    settings, answer = CASES["uniform"]
    wanted, _ = librarys_states(family, library, model, settings, answer)
    other, _ = librarys_states(family, library, model, replace(settings, sampling="first"), answer)
    assert (wanted - other).abs().max() > 1e-2


def test_eight_bits_take_the_memory_that_is_foretold(tmp_path):
    """What a run plans with is what a model in int8 then holds in its layers."""
    write_sa2va(tmp_path / "a")
    model = load(tmp_path / "a", "cpu", "float32", quantize="int8")
    layers = model.network.language.model.layers
    narrow = [one for one in layers.modules() if isinstance(one, Int8Linear)]
    saved = sum(one.weight.numel() for one in narrow) * (4 - 1)
    whole, less = (loaded_bytes(tmp_path / "a", 4, one) for one in (None, KIND.language_layers))
    assert whole - less == saved > 0
    settings, answer = CASES["shrunk"]
    (found,) = model.segment(frames(), [SENTENCE], settings, answers=[answer + "<|im_end|>"])
    assert found.num_seg == 1


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"procedure": "sasasa2va"}, "no Qwen-VL checkpoint was trained"),
        ({"procedure": "sa2va-i"}, "needs a second mask decoder"),
    ],
)
def test_procedures_that_make_no_sense_are_refused(pair, changes, says):
    with pytest.raises(FaultyInput, match=says):
        pair[2].segment(frames(), [SENTENCE], Settings(**changes))


def test_a_chat_template_is_not_chosen_where_the_checkpoint_brings_its_own(tmp_path):
    write_sa2va(tmp_path / "a")
    with pytest.raises(InputError, match="no chat template to choose; drop template"):
        load(tmp_path / "a", "cpu", "float32", template="qwen_chat")
