"""Work of a video by stage: by our procedure, which shares, and by the public one, which does not.

Ours does once for a video what depends on the video alone, follows objects in groups, and projects
each memory map once. The public procedure answers one sentence at a time: it reads the key frames
anew for each, encodes T + M images (T + 2M for sa2va-i), and projects the whole memory for every
tracked frame. Both are counted with the same organs, so their difference is the sharing alone.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from submission.cost import organs
from submission.cost.operations import NOTHING, Work, add, convolve
from submission.cost.sizes import Sizes
from submission.cost.video import Asking, AtOnce, Clip, Sight, shown_frames, sights
from submission.models.sa2va.procedures import PROCEDURES
from submission.models.sam2.sizes import GroundingConfig

Stages = dict[str, Work]  # in the order in which they run

# Tokens of a prompt beside the visual ones, as the three templates and MeViS's sentences make them.
FRAME_TOKENS = 3  # <img>, </img> and the line break
OPENING_TOKENS = 4  # before the first frame
QUESTION_TOKENS = 25  # "Please segment ...", seven or eight words, and the turn of the answer
ANSWER_TOKENS = 6  # "Sure, [SEG]." and the end

VISION, PREFIX, ANSWERS = "vision encoder", "language prefix", "language answers"
IMAGES, PROMPTED, MEMORY = "image encoder", "prompted decode", "memory encode"
KEYS, SHARED, OWN = "memory keys", "memory attention of frames", "memory attention of objects"
TRACKED, DRAW = "mask decode", "upsample and pack"


def ours(sizes: Sizes, clip: Clip, asking: Asking, at_once: AtOnce) -> Stages:
    """Work of one video with all its sentences, each answered with one object."""
    if not clip.sentences:
        return {}
    shown, (prompted, tracked) = shown_frames(clip, asking), sights(clip.frames, asking)
    prefix, net = prefix_tokens(sizes, shown), sizes.grounding
    in_groups = _in_groups(clip.sentences, at_once.objects)
    made = organs.make_weights(sizes.language) if asking.quantize == "int8" else NOTHING
    remembered = clip.frames if tracked else 0  # without tracking nobody reads memory
    steps = ANSWER_TOKENS * len(_groups(clip.sentences, at_once.sentences))
    return {
        VISION: organs.encode_vision(sizes, shown),
        PREFIX: _read_prefix(sizes, prefix) + made,
        ANSWERS: _answer_all(sizes, prefix, clip.sentences, at_once.sentences) + steps * made,
        IMAGES: _in_batches(clip.frames, at_once.images, net),
        PROMPTED: prompted * in_groups(lambda b: _prompt(net, b, asking.procedure)),
        MEMORY: remembered * in_groups(lambda b: organs.encode_memory(net, b)),
        KEYS: remembered * in_groups(lambda b: organs.project_memory(net, b)),
        SHARED: len(tracked)
        * -(-clip.sentences // at_once.objects)
        * organs.attend_to_itself(net, 1),
        OWN: len(tracked) * in_groups(lambda b: _attend(net, b, tracked)),
        TRACKED: len(tracked) * in_groups(lambda b: organs.decode_masks(net, b, prompts=2)),
        DRAW: clip.frames * in_groups(lambda b: organs.upsample(net, b, clip.height, clip.width)),
    }


def public(sizes: Sizes, clip: Clip, asking: Asking) -> Stages:
    """Work of one video when every sentence is answered for itself and nothing is kept.

    Exact also where `asking` is not: the public procedure knows no approximations.
    """
    asking = asking.exact
    prompted, tracked = sights(clip.frames, asking)
    alone = ours(sizes, replace(clip, sentences=1), asking, AtOnce(1, 1, 1))
    net = sizes.grounding
    again = prompted * (2 if PROCEDURES[asking.procedure].policy.harden_prompts else 1)
    projected = sum(sight.maps for sight in tracked)
    alone[IMAGES] = (clip.frames + again) * organs.encode_images(net, 1)
    alone[KEYS] = projected * organs.project_memory(net, 1)
    return {stage: clip.sentences * work for stage, work in alone.items()}


def total(stages: Stages) -> Work:
    """All stages together."""
    return add(*stages.values())


def sum_stages(videos: Iterable[Stages]) -> Stages:
    """The stages of several videos, each added up."""
    summed: Stages = {}
    for stages in videos:
        for stage, work in stages.items():
            summed[stage] = summed.get(stage, NOTHING) + work
    return summed


def prefix_tokens(sizes: Sizes, frames: int) -> int:
    """Tokens of the prompt up to the last key frame, the same for every sentence."""
    return frames * (sizes.vision.tokens + FRAME_TOKENS) + OPENING_TOKENS


def _read_prefix(sizes: Sizes, tokens: int) -> Work:
    # A token sees those before it: half of the square, which causal kernels do not compute.
    return organs.read_tokens(sizes.language, tokens, (tokens + 1) / 2)


def _answer_all(sizes: Sizes, prefix: int, sentences: int, at_once: int) -> Work:
    """Questions packed behind the prefix, then one token a step for all of them together."""
    work = NOTHING
    for packed in _groups(sentences, at_once):
        rows, behind = packed * QUESTION_TOKENS, packed * QUESTION_TOKENS
        work += organs.read_tokens(sizes.language, rows, prefix + behind)
        for _ in range(ANSWER_TOKENS - 1):  # the last one is chosen and not read
            behind += packed
            work += organs.read_tokens(sizes.language, packed, prefix + behind)
        work += ANSWER_TOKENS * organs.choose_tokens(sizes.language, packed)
        work += organs.project_seg(sizes, packed)
    return work


def _prompt(net: GroundingConfig, objects: int, procedure: str) -> Work:
    decoded = organs.decode_masks(net, objects, prompts=3)
    if not PROCEDURES[procedure].policy.harden_prompts:
        return decoded
    # Sa2VA-i gives the masks it has found to SAM 2 once more, as masks.
    given = convolve(objects * 16 * net.places, 1, 1, 4, stride=4)
    side = 4 * net.places
    given += convolve(objects * side, 1, 4, 2, stride=2)
    given += convolve(objects * net.places, 4, 16, 2, stride=2)
    given += convolve(objects * net.places, 16, net.hidden_size, 1)
    return decoded + given + organs.decode_masks(net, objects, prompts=2)


def _attend(net: GroundingConfig, objects: int, tracked: Sequence[Sight]) -> Work:
    """Memory attention of one tracked frame, without what is the same for all objects.

    The mean over the frames, which is exact: work is linear in what a frame sees.
    """
    frames = max(1, len(tracked))
    maps = sum(sight.maps for sight in tracked) / frames
    pointers = sum(sight.pointers for sight in tracked) / frames
    tokens = maps * net.places + pointers * (net.hidden_size // net.memory_size)
    layers = net.memory_layers
    return add(
        (layers - 1) * organs.attend_to_itself(net, objects),
        layers * organs.attend_to_memory(net, objects, tokens),
        organs.project_pointers(net, objects, pointers),
    )


def _in_batches(images: int, at_once: int, net: GroundingConfig) -> Work:
    return add(*(organs.encode_images(net, batch) for batch in _groups(images, at_once)))


def _in_groups(objects: int, at_once: int) -> Callable[[Callable[[int], Work]], Work]:
    """Return what adds up a function of a group's size over the groups of objects."""
    whole, rest = divmod(objects, at_once)

    def add_up(work: Callable[[int], Work]) -> Work:
        return add(*(times * work(size) for times, size in ((whole, at_once), (1, rest)) if size))

    return add_up


def _groups(count: int, at_once: int) -> list[int]:
    whole, rest = divmod(count, at_once)
    return [at_once] * whole + ([rest] if rest else [])
