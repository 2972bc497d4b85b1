"""How Qwen-VL sees frames: two resizes that keep the aspect, sides in whole cells; no torch.

A cell is what becomes one visual token: 2 x 2 patches, so 28 pixels in Qwen2.5-VL and 32 in
Qwen3-VL. The public code resizes twice: its own helper first, to multiples of 28 whatever the
model, then the model's image processor.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from submission.models.sa2va.settings import Settings
from submission.video.transforms import FrameRequest, SmartResize, Then

HELPER = SmartResize(28, min_pixels=4 * 28 * 28, max_pixels=16384 * 28 * 28)  # qwen_vl_utils


def recognises(config: Mapping[str, Any]) -> bool:
    """Tell from the content of config.json whether this backbone reads the checkpoint."""
    vision = config.get("vision_config")
    return "text_config" in config and isinstance(vision, Mapping) and (
        "fullatt_block_indexes" in vision or "deepstack_visual_indexes" in vision
    )  # fmt: skip


def nested(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return config.json as newer exports write it: older ones of the plain Qwen2.5-VL have the
    language model's keys at the top.
    """
    return values if "text_config" in values else {**values, "text_config": values}


def resize_of(config: Mapping[str, Any], settings: Settings) -> Then:
    """Return what is done to each frame; raise KeyError for a size that config.json lacks."""
    vision = config["vision_config"]
    cell = int(vision["patch_size"]) * int(vision["spatial_merge_size"])
    return Then(HELPER, SmartResize(cell, settings.min_pixels, settings.max_pixels))


def image_requests(
    config: Mapping[str, Any], images: Sequence[tuple[int, ...]], settings: Settings
) -> tuple[FrameRequest, ...]:
    """Return the frames to ask for; each image is one frame."""
    frames = tuple(time for image in images for time in image)
    return (FrameRequest(frames, resize_of(config, settings)),)
