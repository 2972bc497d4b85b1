"""SAM 2 in Cutie's place: against the package's own video predictor, forward and backward."""

from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from functools import partial

import numpy as np
import pytest
import torch
from models.checkpoints import SAM2, TINY
from safetensors.torch import load_file
from sam2.modeling.backbones.hieradet import Hiera
from sam2.modeling.backbones.image_encoder import FpnNeck, ImageEncoder
from sam2.modeling.memory_attention import MemoryAttention, MemoryAttentionLayer
from sam2.modeling.memory_encoder import CXBlock, Fuser, MaskDownSampler, MemoryEncoder
from sam2.modeling.position_encoding import PositionEmbeddingSine
from sam2.modeling.sam.transformer import RoPEAttention
from sam2.sam2_video_predictor import SAM2VideoPredictor

from submission.errors import FaultyInput, InputError
from submission.models.sam2.image_features import FrameFeatures
from submission.models.sam2.loading import load_sam2, open_sam2
from submission.models.sam2.network import normalise
from submission.models.sam2.propagate import Given, propagate
from submission.video.frame_loader import FrameLoader
from submission.video.transforms import FrameRequest, Squash

CPU = torch.device("cpu")
LENGTH = 9
CLOSE = 1e-3  # of logits of scale 4; memory is rounded to bfloat16 on the way


def sam2_tensors() -> dict[str, torch.Tensor]:
    """SAM 2's part of the small Sa2VA, with the names of Meta's file."""
    stored = load_file(TINY / "model.safetensors")
    names = {key: key.removeprefix(SAM2).replace("g_weight", "gamma") for key in stored}
    tensors = {names[key]: value.float() for key, value in stored.items() if key.startswith(SAM2)}
    # Random weights see no object in a frame, and blank masks are all equal: let them see one.
    tensors["sam_mask_decoder.pred_obj_score_head.layers.2.bias"] += 20
    return tensors


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sam2")
    torch.save({"model": sam2_tensors()}, folder / "sam2_hiera_large.pt")
    (folder / "config.json").write_bytes((TINY / "config.json").read_bytes())
    return folder / "sam2_hiera_large.pt"


@pytest.fixture(scope="module")
def network(file):
    return load_sam2(file, CPU, torch.float32)


@pytest.fixture(scope="module")
def loader():
    drawn = np.random.default_rng(3).integers(0, 256, (LENGTH, 6, 8, 3), np.uint8)
    frames = np.repeat(np.repeat(drawn, 10, axis=1), 10, axis=2)
    return FrameLoader(frames.__getitem__, frames.shape[:3], ThreadPoolExecutor(1))


def mask(row: int = 10, column: int = 20) -> np.ndarray:
    made = np.zeros((60, 80), bool)
    made[row : row + 25, column : column + 30] = True
    return made


def features(network, loader) -> FrameFeatures:
    return FrameFeatures(network, loader, CPU, torch.float32, 2)


def found(network, loader, *given: Given) -> list[dict[int, torch.Tensor]]:
    """Logits by time, for each candidate."""
    logits: list[dict[int, torch.Tensor]] = [{} for _ in given]
    for step in propagate(network, features(network, loader), given):
        for row, number in enumerate(step.candidates):
            logits[number][step.time] = step.found.logits[row, 0]
    return logits


def predictor(network) -> SAM2VideoPredictor:
    """The package's own class with these weights, set as sam2_hiera_l.yaml sets it."""
    sizes = network.config
    width, memory = sizes.hidden_size, sizes.memory_size
    side = sizes.feature_size
    trunk = Hiera(**vars(sizes.hiera))
    attention = partial(
        RoPEAttention, rope_theta=10000.0, feat_sizes=(side, side), embedding_dim=width,
        num_heads=1, downsample_rate=1, dropout=0.1,
    )  # fmt: skip
    layer = MemoryAttentionLayer(
        activation="relu", dim_feedforward=sizes.memory_ffn, dropout=0.1, pos_enc_at_attn=False,
        d_model=width, pos_enc_at_cross_attn_keys=True, pos_enc_at_cross_attn_queries=False,
        self_attention=attention(), cross_attention=attention(rope_k_repeat=True, kv_in_dim=memory),
    )  # fmt: skip
    model = SAM2VideoPredictor(
        image_encoder=ImageEncoder(
            trunk,
            FpnNeck(PositionEmbeddingSine(width), width, trunk.channel_list,
                    fpn_top_down_levels=[2, 3], fpn_interp_model="nearest"), scalp=1,
        ),
        memory_attention=MemoryAttention(
            d_model=width, pos_enc_at_input=True, layer=layer, num_layers=sizes.memory_layers
        ),
        memory_encoder=MemoryEncoder(
            out_dim=memory, position_encoding=PositionEmbeddingSine(memory), in_dim=width,
            mask_downsampler=MaskDownSampler(width, kernel_size=3, stride=2, padding=1),
            fuser=Fuser(CXBlock(width, kernel_size=7, padding=3), num_layers=2),
        ),
        num_maskmem=7, image_size=sizes.image_size, sigmoid_scale_for_mem_enc=20.0,
        sigmoid_bias_for_mem_enc=-10.0, use_mask_input_as_output_without_sam=True,
        directly_add_no_mem_embed=True, use_high_res_features_in_sam=True,
        multimask_output_in_sam=True, iou_prediction_use_sigmoid=True,
        use_obj_ptrs_in_encoder=True, add_tpos_enc_to_obj_ptrs=False,
        only_obj_ptrs_in_the_past_for_eval=True,
        pred_obj_scores=True, pred_obj_scores_mlp=True, fixed_no_obj_ptr=True,
        multimask_output_for_tracking=True, use_multimask_token_for_obj_ptr=True,
        multimask_min_pt_num=0, multimask_max_pt_num=1, use_mlp_for_obj_ptr_proj=True,
    )  # fmt: skip
    # Its sizes are fixed in the package; the small one's decoder is of the same class.
    model.sam_mask_decoder = deepcopy(network.sam_mask_decoder)
    return model.eval()


def packages_logits(model, network, loader, given: Given, monkeypatch) -> dict[int, torch.Tensor]:
    """What the package finds on either side of a key frame; each side is a video of its own."""
    side, low = network.config.image_size, network.config.image_size // 4
    seen = loader.frames(FrameRequest(tuple(range(LENGTH)), Squash(side)))
    pixels = normalise(torch.from_numpy(seen))
    monkeypatch.setattr(
        "sam2.sam2_video_predictor.load_video_frames", lambda **named: (pixels, low, low)
    )
    logits: dict[int, torch.Tensor] = {}
    for reverse in (False, True):
        state = model.init_state("", offload_video_to_cpu=True, offload_state_to_cpu=True)
        square = torch.nn.functional.interpolate(
            torch.from_numpy(given.mask)[None, None].float(), (side, side), mode="bilinear",
            align_corners=False, antialias=True,
        )[0, 0] >= 0.5  # fmt: skip
        model.add_new_mask(state, given.time, 1, square)
        for time, _, masks in model.propagate_in_video(state, given.time, reverse=reverse):
            logits[time] = masks[0, 0]
    return logits


def test_both_directions_are_those_of_the_package(network, loader, monkeypatch):
    model = predictor(network)
    model.load_state_dict(sam2_tensors())
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(SAM2VideoPredictor, "device", CPU, raising=False)
    given = Given(4, mask())
    wanted = packages_logits(model, network, loader, given, monkeypatch)
    (ours,) = found(network, loader, given)
    assert sorted(ours) == sorted(wanted) == list(range(LENGTH))
    for time in range(LENGTH):
        assert (ours[time] - wanted[time]).abs().max() < CLOSE, time
    # Negative control: from a mask elsewhere comes something else.
    (other,) = found(network, loader, Given(4, mask(30, 40)))
    assert all((other[time] - ours[time]).abs().max() > 5 * CLOSE for time in range(LENGTH))


def test_candidates_know_nothing_of_each_other(network, loader):
    given = [Given(4, mask()), Given(0, mask(30, 5)), Given(4, mask(20, 40))]
    together = found(network, loader, *given)
    for one, logits in zip(given, together, strict=True):
        (alone,) = found(network, loader, one)
        assert sorted(logits) == list(range(LENGTH))
        for time in range(LENGTH):
            assert (alone[time] - logits[time]).abs().max() < CLOSE


def test_a_frame_is_encoded_once_for_all_candidates(network, loader):
    video = features(network, loader)
    list(propagate(network, video, [Given(4, mask()), Given(0, mask()), Given(8, mask())]))
    assert video.encoded == LENGTH


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda tensors: tensors.update(no_obj_embed_spatial=torch.ones(1)), "SAM 2.1"),
        (lambda tensors: tensors.pop("no_mem_embed"), "no_mem_embed: is missing"),
        (dict.clear, "holds no table of tensors"),
    ],
)
def test_another_file_is_refused_in_a_sentence(file, tmp_path, change, says):
    tensors = sam2_tensors()
    change(tensors)
    (tmp_path / "config.json").write_bytes(file.with_name("config.json").read_bytes())
    torch.save({"model": tensors}, tmp_path / "a.pt")
    with pytest.raises((InputError, FaultyInput), match=says):
        open_sam2(tmp_path / "a.pt")
