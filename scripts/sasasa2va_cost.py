"""FLOP of each mode of SaSaSa2VA for one video, counted by torch on the meta device; no weights.

    python -m scripts.sasasa2va_cost --size 26b

Every module runs once with empty tensors of its true shapes under torch's own counter (2 FLOP for a
multiplication with addition, matrix products and attention only) and is multiplied by the number of
its calls, which the procedure's own steps say. The last column is what the plain way takes: 100
images and 100 decodes where a mode averages, and the language model once for each sentence.
"""

import argparse
from collections.abc import Sequence

import torch

from scripts.benchmark.flop import _count, _empty, _network
from submission.models.sa2va.language import read_prefix
from submission.models.sa2va.procedures import PROCEDURES, TRACK
from submission.models.sa2va.settings import SELECTED, Settings
from submission.models.sam2.tracker import Tracker

WAY = PROCEDURES["sasasa2va"]
MODES = ("uniform", "uniform_plus", "wrap_around", "wrap_around_plus")
LENGTHS = (60, 100, 150)
WORDS = 25 + 60  # tokens of a question, and of an answer with ten [SEG]
TERA = 1e12


class Units:
    """What one call of each module costs, in FLOP."""

    def __init__(self, size: str) -> None:
        network, config = _network(size)
        small, large = config.image_size, config.grounding.image_size
        images = len(WAY.images(SELECTED, Settings(procedure="sasasa2va")))
        self.tokens = images * (config.tokens_per_frame + 3) + 4  # <img>, </img>, line break
        self.vision = images * _count(lambda: network.vision(_empty(1, 3, small, small)))
        width = int(config.llm.hidden_size)
        llm = network.language
        self.prefix = _count(lambda: read_prefix(llm, _empty(self.tokens, width)))
        prefix = read_prefix(llm, _empty(self.tokens, width))
        self.words = _count(
            lambda: llm.model(
                inputs_embeds=_empty(1, WORDS, width), past_key_values=prefix.cache, use_cache=True
            )
        )
        grounding = network.grounding
        self.encode = _count(lambda: grounding.encode_images(_empty(1, 3, large, large)))
        features = grounding.encode_images(_empty(1, 3, large, large))[0]
        language = _empty(1, config.grounding.hidden_size)
        self.decode = _count(lambda: grounding.decode_language(features, language, gate=True))
        logits = grounding.decode_language(features, language, gate=True).logits
        self.remember = _count(lambda: grounding.encode_memory(features, logits))
        tracker = Tracker(grounding, WAY.policy, frame_size=(480, 854))
        for time in range(SELECTED + 6):
            if time < SELECTED:
                tracker.prompt(time, features, language)
            else:
                tracker.track(time, features)
        self.track = _count(lambda: tracker.track(SELECTED + 6, features))

    def of(self, length: int, mode: str, sentences: int) -> tuple[float, float, int, int]:
        """FLOP of a video by ours and the plain way; decodes and tracked frames of a sentence."""
        steps = WAY.steps(length, Settings(procedure="sasasa2va", mode=mode))
        decodes = sum(step.prompt is not TRACK for step in steps)
        tracked = len(steps) - decodes
        calls = sum(step.times for step in steps if step.prompt is not TRACK)
        grounded = decodes * self.decode + tracked * self.track
        grounded += decodes * self.remember if tracked else 0
        ours = self.vision + self.prefix + length * self.encode
        ours += sentences * (self.words + grounded)
        plain = self.vision + self.prefix + self.words
        plain += (calls + (length if tracked else 0)) * self.encode
        plain += calls * (self.decode + (self.remember if tracked else 0)) + tracked * self.track
        return ours, sentences * plain, decodes, tracked


def lines(size: str, sentences: int, modes: Sequence[str] = MODES) -> list[str]:
    """The table in Markdown."""
    with torch.inference_mode():
        units = Units(size)
    said = [
        f"Sa2VA's {size.upper()} network, {sentences} sentences a video, {units.tokens:,} tokens "
        "of prefix; TFLOP of the video:",
        "",
        "| mode | frames | decodes | tracked | ours | plain |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for mode in modes:
        for length in LENGTHS:
            ours, plain, decodes, tracked = units.of(length, mode, sentences)
            said.append(
                f"| `{mode}` | {length} | {decodes} | {tracked} | {ours / TERA:,.0f} | "
                f"{plain / TERA:,.0f} |"
            )
    return said


def main() -> None:
    """Print the table of a size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", default="26b", help="a size of scripts/benchmark/sizes.py")
    parser.add_argument("--sentences", type=int, default=8)
    arguments = parser.parse_args()
    print("\n".join(lines(arguments.size, arguments.sentences)))


if __name__ == "__main__":
    main()
