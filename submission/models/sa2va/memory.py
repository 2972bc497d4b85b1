"""Peak GPU memory by construction: weights, what is kept, and the largest activations.

Counted from shapes, in the precision of the network, as the code holds tensors; attention never
writes its scores. A test compares every term with the tensors that are alive while the network
runs at its true shapes. What a library takes besides is one stated allowance.
"""

from dataclasses import dataclass

from submission.models.sa2va.course import Course, course_of
from submission.models.sa2va.settings import Settings
from submission.models.sa2va.sizes import Sizes
from submission.models.sa2va.work import ANSWER_TOKENS, JUDGE_TOKENS, QUESTION_TOKENS
from submission.models.sam2.sizes import MAX_POINTERS, MAX_RECENT_MAPS, GroundingConfig
from submission.models.workload import BATCHES_AHEAD, Clip, Limits, stays_on_gpu

# Context of the driver, workspaces of libraries, holes between tensors. Assumed, not measured.
ALLOWANCE = 1.2e9  # bytes


@dataclass(frozen=True)
class Peak:
    """Bytes at the moment when most is held."""

    weights: float
    cache: float  # keys and values of the language model, kept until all sentences are answered
    kept: float  # memory of the objects that are followed: keys, values, pointers
    features: float  # of frames that wait, were encoded ahead or are in the encoder's batch
    activations: float  # of the largest stage
    stage: str  # which stage that is

    @property
    def total(self) -> float:
        """All of it, with the allowance."""
        held = self.weights + self.cache + self.kept + self.features + self.activations
        return held + ALLOWANCE


def peak_memory(
    sizes: Sizes, weights: float, clip: Clip, settings: Settings, limits: Limits, *,
    gpu_bytes: float, value_bytes: int = 2, quantize: str = "none",
) -> Peak:  # fmt: skip
    """Return the peak while one video is answered.

    `weights` are the bytes of the loaded network; `gpu_bytes` is the memory of the GPU, which
    decides where features wait; `value_bytes` is 2 for bfloat16 and 4 for float32.
    """
    net, objects = sizes.grounding, min(limits.objects_at_once, clip.sentences)
    course = course_of(clip.frames, settings)
    images = min(limits.images_at_once, course.frames)
    tokens = sizes.prefix_tokens(course.images, clip.size, settings)
    cache = value_bytes * cache_values(sizes, tokens, min(limits.sentences_at_once, clip.sentences))
    kept = memory_bytes(net, course, settings, objects, value_bytes)
    features = features_bytes(net, images, value_bytes)
    one = net.feature_values * value_bytes
    stay = stays_on_gpu(course.frames * one, gpu_bytes)
    features += course.frames * one if stay else 0
    encoder = images_bytes(net, images, value_bytes)
    beside = encoder if stay else 0  # it runs beside the language model then
    ahead = min(BATCHES_AHEAD * images, course.frames) * one if stay else 0
    reading = {
        "vision encoder": beside
        + sizes.vision_bytes(course.images, clip.size, settings, value_bytes),
        "language prefix": beside + language_bytes(sizes, tokens, value_bytes, quantize),
    }
    grounding = {
        "image encoder": encoder,
        "tracking": objects_bytes(net, objects, clip, value_bytes),
    }
    first, second = max(reading, key=reading.__getitem__), max(grounding, key=grounding.__getitem__)
    before = Peak(weights, cache, 0, ahead, reading[first], first)
    during = Peak(weights, 0, kept, features, grounding[second], second)
    return max(before, during, key=lambda peak: peak.total)


def judge_memory(
    sizes: Sizes, weights: float, clip: Clip, settings: Settings, images: int, questions: int, *,
    value_bytes: int,
) -> float:  # fmt: skip
    """Return the peak in bytes while a judge reads `images` frames and hears so many questions."""
    tokens, language = sizes.prefix_tokens(images, clip.size, settings), sizes.language
    held = tokens + questions * JUDGE_TOKENS
    cache = value_bytes * 2 * language.layers * language.groups * language.head * held
    seen = sizes.vision_bytes(images, clip.size, settings, value_bytes)
    return weights + cache + max(seen, language_bytes(sizes, held, value_bytes)) + ALLOWANCE


def cache_values(sizes: Sizes, prefix: int, packed: int) -> float:
    """Keys and values of the shared prefix and of the sentences packed behind it."""
    language = sizes.language
    tokens = prefix + packed * (QUESTION_TOKENS + ANSWER_TOKENS + 1)
    return 2 * language.layers * language.groups * language.head * tokens


def memory_bytes(
    net: GroundingConfig, course: Course, settings: Settings, objects: int, value_bytes: int
) -> float:
    """Memory of `objects`: keys and values of every layer, and keys before they get a time.

    The bank has room for all prompted and six recent maps. Beside it wait the keys of recent ones,
    and maps and pointers as they were written. Tables of positions, times and rotations are there
    once.
    """
    prompted, tracked = course.prompted, course.tracked
    if not tracked:
        return 0  # nothing is remembered then
    recent = min(MAX_RECENT_MAPS, tracked)
    shown = min(prompted, settings.nearest_prompts or prompted)
    pointers = shown + min(MAX_POINTERS, tracked)
    both = 2 * net.memory_layers * net.hidden_size  # a key and a value in every layer
    keys = (shown + 1.5 * recent) * net.places * both
    maps = (prompted + recent) * net.places * net.memory_size
    tokens = pointers * net.hidden_size * (1 + both / net.memory_size)
    table = net.memory_layers * net.places * net.hidden_size
    positions = net.places * (net.hidden_size + net.memory_size)
    tables = ((MAX_RECENT_MAPS + 1) * table + positions) * value_bytes
    tables += 4 * (table + positions)  # rotations, and positions as they are made, are float32
    return objects * (keys + maps + tokens) * value_bytes + tables


def features_bytes(net: GroundingConfig, images: int, value_bytes: int) -> float:
    """The feature maps of a batch of frames beside those of the batch before."""
    return 2 * images * net.feature_values * value_bytes


def language_bytes(sizes: Sizes, tokens: int, value_bytes: int, quantize: str = "none") -> float:
    """Activations of a prefix: gate, its activation and the other half, and three states.

    With int8, or two of the three and a weight of the MLP in the precision of the network.
    """
    mlp, width = sizes.language.mlp, sizes.language.width
    weight = mlp * width if quantize == "int8" else 0
    return (max(3 * tokens * mlp, 2 * tokens * mlp + weight) + 3 * tokens * width) * value_bytes


def images_bytes(net: GroundingConfig, images: int, value_bytes: int) -> float:
    """Activations of the image encoder: where the second stage begins, or of the pyramid.

    The second stage begins with queries, keys and values of twice the width, before pooling, and
    holds the first stage's map and tokens. The pyramid holds a map of each stage (each half of the
    one before) and its own levels.
    """
    finest = (net.image_size // 4) ** 2 * net.hiera.embed_dim
    levels = 4 / 3 * 16 * net.places * net.hidden_size
    stages = sum(0.5**stage for stage in range(len(net.hiera.stages))) * finest
    return images * max(11 * finest, stages + levels) * value_bytes


def objects_bytes(net: GroundingConfig, objects: int, clip: Clip, value_bytes: int) -> float:
    """Activations of following `objects`: the largest of reading memory, writing it, drawing.

    Reading: the feed-forward layer and five states. Writing: four times a state on either side of
    the activation, and four more. Drawing: the square or the masks beside the
    frame's logits in float32; masks as bool, as bytes, weighed, and packed.
    """
    state = net.places * net.hidden_size * value_bytes
    reading = net.places * net.memory_ffn * value_bytes + 5 * state
    frame = clip.height * clip.width
    drawing = 4 * frame + max(4 * net.image_size**2, (3 + 1 / 8) * frame)
    return objects * max(reading, 12 * state, drawing)
