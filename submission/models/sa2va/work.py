"""Calls of a video by stage: by our procedure, which shares, and by the public one, which does not.

Ours does once for a video what depends on the video alone and follows objects in groups. The public
procedure answers one sentence at a time, encodes a prompted frame anew and projects the whole
memory for every tracked frame; it is counted with the same units, so the difference is the sharing
alone. No torch: work_units.py counts the units.
"""

from dataclasses import replace

from submission.models.sa2va.course import Course, course_of
from submission.models.sa2va.procedures import PROCEDURES
from submission.models.sa2va.settings import Settings
from submission.models.sa2va.sizes import Sizes
from submission.models.sam2.approximation import ALL
from submission.models.sam2.work import PIXELS, by_pixels, draw, encode_images, track
from submission.models.unit_calls import (
    NO_CALLS,
    Calls,
    curve,
    from_two,
    in_groups,
    line,
    once,
)
from submission.models.workload import IMAGES, Clip, Limits, even_groups, groups

VISION, PREFIX, ANSWERS = "vision encoder", "language prefix", "language answers"
PROMPTED, TRACKED, DRAW = "prompted frames", "tracked frames", "upsample and pack"
QUESTION_TOKENS = 25  # "Please segment ...", seven or eight words, and the turn of the answer
JUDGE_TOKENS = 45  # of a judge's question, with the sentence
ANSWER_TOKENS = 5  # "Sure, ." and the end; each [SEG] is one more

# What is counted: small, because it is fast.
TOKENS, SEEN = (8, 16, 24), (32, 64)


def ours(sizes: Sizes, clip: Clip, settings: Settings, limits: Limits) -> dict[str, Calls]:
    """Calls for one video with all its sentences, each answered with one object."""
    if not clip.sentences:
        return {}
    course = course_of(clip.frames, settings)
    prefix = sizes.prefix_tokens(course.images, clip.size, settings)
    objects = even_groups(clip.sentences, limits.objects_at_once)
    packed = groups(clip.sentences, limits.sentences_at_once)
    return {
        VISION: sizes.see(course.images, clip.size, settings),
        PREFIX: read_prefix(sizes, prefix),
        ANSWERS: in_groups(lambda n: answer(sizes, prefix, n, course.segs), packed),
        IMAGES: in_groups(encode_images, groups(course.frames, limits.images_at_once)),
        PROMPTED: in_groups(lambda n: _prompts(course, clip, settings, n), objects),
        TRACKED: in_groups(lambda n: _tracks(course, n), objects),
        DRAW: course.frames * in_groups(lambda n: draw(n, clip.size), objects),
    }


def public(sizes: Sizes, clip: Clip, settings: Settings) -> dict[str, Calls]:
    """Calls for one video when every sentence is answered for itself and nothing is kept.

    Exact also where `settings` are not: the public procedure knows no approximations.
    """
    if not clip.sentences:
        return {}
    exact = replace(settings, nearest_prompts=ALL, memory_stride=1)
    alone = ours(sizes, replace(clip, sentences=1), exact, Limits(1, 1, 1))
    course = course_of(clip.frames, exact)
    looks = 2 if PROCEDURES[settings.procedure].policy.harden_prompts else 1
    encoded = looks * course.repeats + (course.frames if course.tracked else 0)
    alone[IMAGES] = encoded * encode_images(1)
    alone[PROMPTED] = course.repeats / course.prompts * alone[PROMPTED]
    if course.tracked:
        # A frame projects all the maps that it sees; ours each once, when it is made.
        alone[TRACKED] += (course.maps - course.frames) * once("sam2", "project")
    return {stage: clip.sentences * calls for stage, calls in alone.items()}


def judged(
    sizes: Sizes, clip: Clip, settings: Settings, images: int, questions: int, limits: Limits
) -> dict[str, Calls]:  # fmt: skip
    """Calls of a judge who reads `images` frames and is asked `questions`, packed behind them."""
    if not questions:
        return {}
    prefix = sizes.prefix_tokens(images, clip.size, settings)

    def asked(n: int) -> Calls:
        tokens = n * JUDGE_TOKENS
        chosen = from_two(lambda rows: once("language", "choose", rows), n)
        return _behind(sizes, tokens, prefix + tokens) + chosen

    return {
        VISION: sizes.see(images, clip.size, settings),
        PREFIX: read_prefix(sizes, prefix),
        ANSWERS: in_groups(asked, groups(questions, limits.sentences_at_once)),
    }


def weights(sizes: Sizes, quantize: str = "none") -> tuple[Calls, Calls]:
    """What counts the parameters: those in the precision of the network, and those of one byte."""
    wide = sizes.vision_weights() + _by_layers(sizes, "weights") + once("sam2", "weights")
    return wide, _by_layers(sizes, "int8_weights") if quantize == "int8" else NO_CALLS


# --- language ------------------------------------------------------------------------------------
def read_prefix(sizes: Sizes, tokens: int) -> Calls:
    """The language model over the images and what stands before them; it grows with the square."""
    return curve(lambda n: _by_layers(sizes, "prefix", n), TOKENS, tokens)


def answer(sizes: Sizes, prefix: int, sentences: int, segs: int) -> Calls:
    """Questions packed behind the prefix, then one token a step for all of them together."""
    seen = prefix + sentences * QUESTION_TOKENS
    steps = ANSWER_TOKENS + segs
    read = _behind(sizes, sentences * QUESTION_TOKENS, seen)
    for step in range(1, steps):  # the last token is chosen and not read
        read += _behind(sizes, sentences, seen + step * sentences)
    chosen = from_two(lambda rows: once("language", "choose", rows), sentences)
    projected = from_two(lambda rows: once("language", "project", rows), sentences * segs)
    return read + steps * chosen + projected


def _behind(sizes: Sizes, tokens: int, seen: int) -> Calls:
    """Reading tokens behind others: a plane over their numbers."""

    def reading(rows: int) -> Calls:
        return line(lambda keys: _by_layers(sizes, "behind", rows, keys), *SEEN, seen)

    return from_two(reading, tokens)


def _by_layers(sizes: Sizes, name: str, *numbers: int) -> Calls:
    language = sizes.language
    return line(
        lambda layers: once("language", name, layers, *numbers),
        language.least_layers, language.least_layers + 1, language.layers,
    )  # fmt: skip


# --- SAM 2 ---------------------------------------------------------------------------------------
def _prompts(course: Course, clip: Clip, settings: Settings, objects: int) -> Calls:
    """Prompted frames; where masks are made hard, that is done at the size of the frame."""
    remember, hardens = bool(course.tracked), PROCEDURES[settings.procedure].policy.harden_prompts

    def prompted(n: int) -> Calls:
        def at(side: int) -> Calls:
            return once("sam2", "prompted", n, remember, side, side)

        return by_pixels(at, clip.size) if hardens else at(PIXELS[0])

    return course.prompts * from_two(prompted, objects)


def _tracks(course: Course, objects: int) -> Calls:
    seen = course.tracked, course.maps, course.pointers
    return track(*seen, course.prompted, objects) if course.tracked else NO_CALLS
