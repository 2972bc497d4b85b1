"""The public procedure as a plain loop: one sentence at a time, and nothing is shared.

It does what the public inference code does, in the order in which it does it, over the organs of
this kit's network: the same weights, kernels and precision, so that the procedure alone differs.

- Every sentence resizes the frames, passes the key frames through the vision encoder and reads them
  with the language model again.
- The public predictor keeps the image features of the last frame only. A key frame is encoded for
  its prompt and again for its memory: T + M images for Sa2VA, T + 2M for Sa2VA-i, one at a time.
- Memory maps are kept as they are; SAM 2's own memory attention projects all of them for every
  frame.

Decoding JPEG files, and what the public code copies and keeps beside this, is left out: it is a
lower bound of what the public code takes. It shares no code with `submission.models.sam2.tracker`,
so equal masks say something about both.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from transformers import DynamicCache

from submission.models.sa2va.answer import Answer, PackedMasks
from submission.models.sa2va.internvl.backbone import Backbone as InternVL
from submission.models.sa2va.internvl.prompt import IMAGE_CONTEXT, build_prompt
from submission.models.sa2va.internvl.vision import preprocess, resize
from submission.models.sa2va.model import Sa2VA
from submission.models.sa2va.procedures import PROCEDURES
from submission.models.sa2va.settings import Settings
from submission.models.sa2va.tokenizer import SEG
from submission.models.sam2.network import (
    NUM_MEMORY_FRAMES,
    DecodedMasks,
    GroundingNetwork,
    ImageFeatures,
    normalise,
)
from submission.video.frame_loader import FrameLoader
from submission.video.sampling import key_frames

Frames = NDArray[np.uint8]  # (T, H, W, 3) RGB
NEAR = NUM_MEMORY_FRAMES - 1  # tracked frames whose memory maps are seen; also the prompted slot
POINTER_WINDOW = 16  # frames whose object pointers are seen, the current one included


@dataclass
class Memory:
    """What the frames of one object have left behind, by time: maps (1, K, S, S) and pointers."""

    prompted: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)
    tracked: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)


@torch.inference_mode()
def answer_one(
    model: Sa2VA, frames: Frames, sentence: str, num_frames: int, procedure: str, answer: str
) -> Answer:
    """Answer one sentence of a video as the public code does; `answer` is forced.

    Without a [SEG] that is read, masks are empty; with several, the first counts.
    """
    shown = key_frames(len(frames), num_frames, "uniform")
    if isinstance(model.backbone, InternVL):
        pixels = preprocess(list(frames[list(shown)]), model.config.image_size)
        tokens = model.network.vision(pixels.to(model.device, model.dtype))  # (M, P, C)
        states = _read(model, tokens, sentence, procedure, model.tokenizer.encode_answer(answer))
    else:
        states = _read_alone(model, frames, sentence, num_frames, procedure, answer)
    masks = PackedMasks.empty(frames.shape[:3])
    if states:
        language = model.network.seg_projector(states[0][None])  # (1, C)
        _follow(model, frames, sorted(set(shown)), language, procedure, masks)
    return Answer(answer, masks, len(states))


def _read_alone(
    model: Sa2VA, frames: Frames, sentence: str, num_frames: int, procedure: str, answer: str
) -> list[Tensor]:
    """The same for a backbone that this loop has no lines for: the kit's own, one sentence."""
    settings = Settings(procedure=procedure, frames=num_frames)  # type: ignore[arg-type]
    with ThreadPoolExecutor(1) as pool:
        loader = FrameLoader(frames.__getitem__, frames.shape[:3], pool)
        (reply,) = model.ask(loader, [sentence], settings, answers=[answer])
    return [model.backbone.for_masks(state[None], settings)[0] for state in reply.seg_states]


def _read(
    model: Sa2VA, tokens: Tensor, sentence: str, procedure: str, answer: Sequence[int]
) -> list[Tensor]:
    """Last states (C,) of the [SEG] tokens that are read, with the whole prompt read anew."""
    llm, tokenizer = model.network.language, model.tokenizer
    prompt = build_prompt(
        model.config.template,
        PROCEDURES[procedure].question(sentence),
        len(tokens),
        model.config.tokens_per_frame,
    )
    ids = torch.tensor(tokenizer.encode(prompt), device=model.device)
    embed = llm.get_input_embeddings()
    embeddings = embed(ids)
    context = ids == tokenizer.find(IMAGE_CONTEXT)
    embeddings[context] = tokens.flatten(0, 1).to(embeddings.dtype)
    cache = DynamicCache(config=llm.config)
    states: list[Tensor] = []
    output = llm.model(inputs_embeds=embeddings[None], past_key_values=cache, use_cache=True)
    for token in answer[:-1]:
        llm.lm_head(output.last_hidden_state[:, -1]).argmax(dim=-1).tolist()  # its own choice
        read = embed(torch.tensor([[token]], device=model.device))
        output = llm.model(inputs_embeds=read, past_key_values=cache, use_cache=True)
        if token == tokenizer.find(SEG):
            states.append(output.last_hidden_state[0, -1])
    return states


def _follow(
    model: Sa2VA, frames: Frames, prompted: Sequence[int], language: Tensor, procedure: str,
    masks: PackedMasks,
) -> None:  # fmt: skip
    """Prompt the key frames, then track the others; write the mask of every frame."""
    network, policy = model.network.grounding, PROCEDURES[procedure].policy
    side, size = network.config.image_size, (frames.shape[1], frames.shape[2])
    pixels = resize(list(frames), side)

    def encode(time: int) -> ImageFeatures:
        picture = torch.from_numpy(pixels[time : time + 1]).to(model.device)
        return network.encode_images(normalise(picture).to(model.dtype))[0]

    def write(time: int, logits: Tensor) -> None:
        square = F.interpolate(logits, (side, side), mode="bilinear", align_corners=False)
        full = F.interpolate(square, size, mode="bilinear", align_corners=False)
        masks.write(time, (torch.sigmoid(full) > 0.5)[0, 0].cpu().numpy())

    memory, found = Memory(), {}
    for time in prompted:
        found[time] = network.decode_language(encode(time), language)
        if policy.harden_prompts:
            found[time] = harden(network, encode(time), found[time], size)
        write(time, found[time].logits)
    for time, one in found.items():
        memory.prompted[time] = (network.encode_memory(encode(time), one.logits), one.pointer)
    for time in (time for time in range(len(frames)) if time not in found):
        features = encode(time)
        seen = condition(network, memory, time, features)
        one = network.decode_tracked(
            features, seen, gate=policy.gate_tracked, decoder=policy.tracking_decoder
        )
        memory.tracked[time] = (network.encode_memory(features, one.logits), one.pointer)
        memory.tracked.pop(time - POINTER_WINDOW, None)
        write(time, one.logits)


def harden(
    network: GroundingNetwork, features: ImageFeatures, soft: DecodedMasks, size: tuple[int, int]
) -> DecodedMasks:
    """Sa2VA-i: a predicted mask, made hard at the frame's size, is given to SAM 2 as a mask."""
    shown = F.interpolate(soft.logits, size, mode="bilinear", align_corners=False)
    hard, side = (torch.sigmoid(shown) > 0.5).float(), network.config.image_size
    square = F.interpolate(
        hard, (side, side), mode="bilinear", align_corners=False, antialias=True
    )  # fmt: skip
    return network.decode_given_mask(features, (square >= 0.5).float())


def condition(
    network: GroundingNetwork, memory: Memory, time: int, features: ImageFeatures
) -> Tensor:
    """Fuse a frame's stride-16 map with all of memory: (1, C, S, S)."""
    place = _as_sequence(network.memory_position())  # (S*S, 1, K)
    slots = [(kept, NEAR) for kept in memory.prompted.values()]
    slots += [(memory.tracked[t], time - t - 1) for t in memory.tracked if time - t <= NEAR]
    maps = [_as_sequence(kept[0]).to(place.dtype) for kept, _ in slots]
    positions = [place + network.maskmem_tpos_enc[slot] for _, slot in slots]
    pointers = [pointer for t, (_, pointer) in memory.prompted.items() if t <= time]
    pointers += [pointer for t, (_, pointer) in memory.tracked.items() if time - t < POINTER_WINDOW]
    parts = [pointer.to(place.dtype).view(-1, 1, place.shape[-1]) for pointer in pointers]
    count = sum(map(len, parts))
    fused = network.memory_attention(
        curr=_as_sequence(features.stride16),
        curr_pos=_as_sequence(network.position_of(features)),
        memory=torch.cat([*maps, *parts]),
        memory_pos=torch.cat([*positions, place.new_zeros(count, 1, place.shape[-1])]),
        num_obj_ptr_tokens=count,
    )  # (S*S, 1, C)
    return fused.permute(1, 2, 0).view_as(features.stride16)  # type: ignore[no-any-return]


def _as_sequence(maps: Tensor) -> Tensor:
    """(1, C, S, S) -> (S*S, 1, C), as SAM 2's memory attention takes it."""
    return maps.flatten(2).permute(2, 0, 1)
