"""Work of each organ of the network for a batch, from its sizes; formulas follow the layers.

Sources: InternVLVisionModel and the Llama and Qwen classes of `transformers`, the modules of the
`sam2` package (Ryali et al., arXiv 2306.00989, for Hiera; Ravi et al., arXiv 2408.00714, for
SAM 2), and memory_attention.py here. "Objects" are followed side by side in one batch.
"""

from functools import cache

from submission.cost.operations import (
    Work,
    add,
    attend,
    batched,
    convolve,
    enlarge,
    linear,
    mlp,
    normalise,
    pointwise,
)
from submission.cost.sizes import (
    Q_POOLED_STAGES,
    LanguageSizes,
    Sizes,
    VisionSizes,
)
from submission.models.sam2.sizes import GroundingConfig, HieraConfig

MASK_TOKENS = 4  # one mask and three alternatives
DECODER_TOKENS = 2 + MASK_TOKENS  # and object score, predicted IoU
EMPTY_POINTS = 2  # "no point" as a prompt


# --- vision and language -----------------------------------------------------------------------
def encode_vision(sizes: Sizes, frames: float) -> Work:
    """InternViT, pixel shuffle and projector, for frames in one batch."""
    vision, words = sizes.vision, sizes.language.width
    rows, tokens = frames * (vision.patches + 1), frames * vision.tokens
    patches = convolve(frames * vision.patches, 3, vision.width, vision.patch, stride=vision.patch)
    return add(
        patches,
        Work(weights=(vision.patches + 2) * vision.width),  # position and class embeddings
        vision.layers * _vision_layer(vision, frames, rows),
        normalise(tokens, 4 * vision.width),
        mlp(tokens, 4 * vision.width, words, words),
    )


def _vision_layer(vision: VisionSizes, frames: float, rows: float) -> Work:
    width = vision.width
    return add(
        2 * normalise(rows, width),
        linear(rows, width, 3 * width),
        batched(frames, attend(vision.patches + 1, vision.patches + 1, width)),
        linear(rows, width, width),
        mlp(rows, width, vision.mlp, width),
        2 * pointwise(rows * width, 2),  # layer scale and residual
        Work(weights=2 * width),
    )


def read_tokens(language: LanguageSizes, rows: float, seen: float) -> Work:
    """`rows` tokens through the language model, each seeing `seen` tokens; no output layer."""
    width, inner, keys = language.width, language.heads * language.head, _kv_width(language)
    layer = add(
        2 * normalise(rows, width),
        linear(rows, width, inner + 2 * keys),
        pointwise(rows * (inner + keys), 3),  # rotary positions
        attend(rows, seen, inner, kv_width=keys),
        linear(rows, inner, width),
        linear(rows, width, 2 * language.mlp),
        pointwise(rows * language.mlp, 2),
        linear(rows, language.mlp, width),
        pointwise(rows * width, 2),
    )
    return language.layers * layer + normalise(rows, width)


def layer_matrices(language: LanguageSizes) -> tuple[int, int]:
    """Weights and rows of all matrices in the language model's layers: what int8 can keep."""
    width, inner, keys = language.width, language.heads * language.head, _kv_width(language)
    weights = width * (2 * inner + 2 * keys + 3 * language.mlp)
    rows = inner + 2 * keys + 2 * width + 2 * language.mlp
    return language.layers * weights, language.layers * rows


def make_weights(language: LanguageSizes) -> Work:
    """Weights in int8 to the network's precision, once for every pass through the layers.

    A byte is read and a number written for each: one and a half numbers in bfloat16.
    """
    weights, _ = layer_matrices(language)
    return Work(values=1.5 * weights, calls=7 * language.layers)


def choose_tokens(language: LanguageSizes, rows: float) -> Work:
    """The output layer over the vocabulary."""
    return linear(rows, language.width, language.vocabulary)


def _kv_width(language: LanguageSizes) -> int:
    return language.groups * language.head


def project_seg(sizes: Sizes, objects: float) -> Work:
    """States of [SEG] tokens to language embeddings of SAM 2's width."""
    width = sizes.language.width
    return mlp(objects, width, width, sizes.grounding.hidden_size)


# --- SAM 2's image encoder ---------------------------------------------------------------------
@cache
def encode_images(grounding: GroundingConfig, images: float) -> Work:
    """Hiera and its feature pyramid, down to the three levels that are used and one that is not."""
    trunk, side = grounding.hiera, grounding.image_size // 4
    width = trunk.embed_dim
    total = convolve(images * side**2, 3, width, 7, stride=4) + pointwise(images * side**2 * width)
    total += Work(weights=width * (trunk.window_spec[0] ** 2 + 49))
    starts = [sum(trunk.stages[:stage]) for stage in range(1, len(trunk.stages))]
    maps = []
    for block, window in enumerate(_windows(trunk)):
        grows = block in starts
        out = 2 * width if grows else width
        pools = block in starts[:Q_POOLED_STAGES]
        total += _trunk_block(images, side, width, out, window, pools=pools)
        width, side = out, side // 2 if pools else side
        if block + 1 in [*starts, sum(trunk.stages)]:
            maps.append((side, width))
    for place, channels in maps:
        total += convolve(images * place**2, channels, grounding.hidden_size, 1)
        total += pointwise(images * place**2 * grounding.hidden_size)
    return total


def _windows(trunk: HieraConfig) -> list[int]:
    """Side of the attention window of each block, 0 for the whole map.

    A block that begins a stage still has the window of the stage before it.
    """
    stage_of = [stage for stage, depth in enumerate(trunk.stages) for _ in range(depth)]
    lagging = [stage_of[max(0, block - 1)] for block in range(len(stage_of))]
    return [
        0 if block in trunk.global_att_blocks else trunk.window_spec[stage]
        for block, stage in enumerate(lagging)
    ]


def _trunk_block(
    images: float, side: int, width: int, out: int, window: int, *, pools: bool
) -> Work:
    padded = side if window == 0 else -(-side // window) * window
    tokens = padded if window == 0 else window
    windows = images * (padded // tokens) ** 2
    pooled = tokens // 2 if pools else tokens
    after = side // 2 if pools else side
    rows, inner, done = images * side**2, windows * tokens**2, images * after**2
    return add(
        normalise(rows, width),
        linear(rows, width, out) + pointwise(rows * out) if out != width else Work(),
        pointwise(inner * width, 2 if window else 0),  # into windows and back
        linear(inner, width, 3 * out),
        pointwise(inner * out) if pools else Work(),
        batched(windows, attend(pooled**2, tokens**2, out)),
        linear(windows * pooled**2, out, out),
        normalise(done, out),
        mlp(done, out, 4 * out, out),
        pointwise(done * out, 2),
    )


# --- SAM 2's mask decoder ----------------------------------------------------------------------
def decode_masks(grounding: GroundingConfig, objects: float, *, prompts: int) -> Work:
    """The mask decoder on one frame; `prompts` tokens say what is asked for.

    High-resolution features are projected once for the frame, the rest is done for each object.
    """
    width, places = grounding.hidden_size, grounding.places
    tokens = DECODER_TOKENS + prompts
    rows, image = objects * tokens, objects * places
    half = width // 2
    across = add(  # tokens look at the image
        linear(rows, width, half), 2 * linear(image, width, half), linear(rows, half, width),
        batched(objects, attend(tokens, places, half)),
    )  # fmt: skip
    back = add(  # the image looks at the tokens
        linear(image, width, half), 2 * linear(rows, width, half), linear(image, half, width),
        batched(objects, attend(places, tokens, half)),
    )  # fmt: skip
    layer = add(
        4 * linear(rows, width, width), batched(objects, attend(tokens, tokens, width)),
        across, mlp(rows, width, grounding.decoder_ffn, width), back,
        4 * normalise(rows, width), normalise(image, width), pointwise(image * width, 3),
    )  # fmt: skip
    return add(
        linear(places, 2, half),  # the position of each place, made anew for every frame
        2 * layer,
        across,
        normalise(rows, width),
        _draw_masks(grounding, objects),
        _judge_masks(grounding, objects),
    )


def _draw_masks(grounding: GroundingConfig, objects: float) -> Work:
    width, places = grounding.hidden_size, grounding.places
    fine, finest = width // 4, width // 8
    return add(
        convolve(16 * places, width, finest, 1),
        convolve(4 * places, width, fine, 1),
        enlarge(objects * places, width, fine),
        4 * pointwise(objects * 4 * places * fine),
        enlarge(objects * 4 * places, fine, finest),
        2 * pointwise(objects * 16 * places * finest),
        MASK_TOKENS * mlp(objects, width, width, width, finest),
        Work(
            2 * objects * MASK_TOKENS * finest * 16 * places,
            objects * 16 * places * (finest + MASK_TOKENS), calls=1,
        ),
        pointwise(objects * MASK_TOKENS * 16 * places, 2),  # to float32, and the best of them
    )  # fmt: skip


def _judge_masks(grounding: GroundingConfig, objects: float) -> Work:
    width, head = grounding.hidden_size, grounding.iou_head_size
    return add(
        mlp(objects, width, head, head, MASK_TOKENS),
        mlp(objects, width, width, width, 1),
        mlp(objects, width, width, width, width),  # object pointer
    )


# --- SAM 2's memory ----------------------------------------------------------------------------
def encode_memory(grounding: GroundingConfig, objects: float) -> Work:
    """A frame and the objects' masks to memory maps; the frame's part is done once."""
    width, places = grounding.hidden_size, grounding.places
    full = objects * grounding.image_size**2
    total = pointwise(2 * full, 3)  # enlarge, sigmoid, scale: float32
    for level in range(4):
        inputs, outputs = 4**level, 4 ** (level + 1)
        cells = full / 4 ** (level + 1)
        total += convolve(cells, inputs, outputs, 3, stride=2)
        total += normalise(cells, outputs) + pointwise(cells * outputs, 4)
    rows = objects * places
    block = add(
        convolve(rows, width, width, 7, groups=width), normalise(rows, width),
        mlp(rows, width, 4 * width, width), pointwise(rows * width, 5), Work(weights=width),
    )  # fmt: skip
    return add(
        total,
        convolve(rows, 4**4, width, 1),
        convolve(places, width, width, 1),
        2 * block,
        convolve(rows, width, grounding.memory_size, 1),
    )


def project_memory(grounding: GroundingConfig, maps: float) -> Work:
    """Memory maps to keys and values of every layer."""
    rows = maps * grounding.places
    keys = linear(rows, grounding.memory_size, grounding.hidden_size)
    return grounding.memory_layers * (
        2 * keys + pointwise(2 * rows * grounding.hidden_size, 2)  # rotation: float32
    )


def attend_to_itself(grounding: GroundingConfig, objects: float) -> Work:
    """Self-attention of one layer and the queries to memory: what comes before memory."""
    width, places = grounding.hidden_size, grounding.places
    rows = objects * places
    return add(
        2 * normalise(rows, width),
        5 * linear(rows, width, width),
        batched(objects, attend(places, places, width)),
        pointwise(2 * rows * width, 3),
        pointwise(rows * width, 2),
    )


def attend_to_memory(grounding: GroundingConfig, objects: float, keys: float) -> Work:
    """Cross-attention of one layer to `keys` tokens that are projected, and what follows it."""
    width, places = grounding.hidden_size, grounding.places
    rows = objects * places
    return add(
        batched(objects, attend(places, keys, width)),
        linear(rows, width, width),
        normalise(rows, width),
        mlp(rows, width, grounding.memory_ffn, width),
        pointwise(rows * width, 2),
    )


def project_pointers(grounding: GroundingConfig, objects: float, pointers: float) -> Work:
    """Object pointers to keys and values of every layer."""
    rows = objects * pointers * (grounding.hidden_size // grounding.memory_size)
    one = linear(rows, grounding.memory_size, grounding.hidden_size)
    return 2 * grounding.memory_layers * one


def upsample(grounding: GroundingConfig, objects: float, height: int, width: int) -> Work:
    """Mask logits to the square image, to the frame, to bits; float32 counts as two values."""
    square, frame = objects * grounding.image_size**2, objects * height * width
    return add(
        pointwise(2 * square), pointwise(2 * frame, 3), pointwise(frame / 2), pointwise(frame, 4)
    )
