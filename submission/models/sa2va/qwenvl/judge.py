"""Plain Qwen-VL as a judge: a video and yes/no questions in, log-odds of yes out.

The backbone of Sa2VA with the weights that it began with: no [SEG], no projector, no SAM 2. The
video is read once; all questions about it are packed behind that.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import torch

from submission.device import settle_for_model
from submission.errors import InputError
from submission.models.checkpoint import Filling, fill, prepare_filling
from submission.models.finite import NotFinite, first_not_finite
from submission.models.sa2va.backbone import Prompt
from submission.models.sa2va.config_file import read_values
from submission.models.sa2va.language import Prefix
from submission.models.sa2va.network import Speaker, lay_out_speaker
from submission.models.sa2va.qwenvl.backbone import Reader
from submission.models.sa2va.qwenvl.config import QwenVLConfig, read_config
from submission.models.sa2va.qwenvl.images import nested, recognises
from submission.models.sa2va.qwenvl.prompting import PLAIN_TOKENS
from submission.models.sa2va.qwenvl.tensor_names import plain_sources
from submission.models.sa2va.settings import Settings
from submission.models.sa2va.tokenizer import Tokenizer, load_tokenizer, spell_out
from submission.models.sa2va.yes_or_no import odds_of_yes
from submission.models.weight_files import read_headers, shard_files
from submission.video.frame_loader import FrameLoader

TAKE_ONE = 'a judge is a plain Qwen-VL, such as judge = "Qwen3-VL-4B"'
Result = TypeVar("Result")


@dataclass
class SeenVideo:
    """Some frames of a video as the language model remembers them."""

    size: tuple[int, int]  # of the video's frames
    images: int
    settings: Settings
    prefix: Prefix | None

    def close(self) -> None:
        """Forget it."""
        self.prefix = None


class Judge:
    """A loaded judge; `load_judge` makes one."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader

    @torch.inference_mode()
    def watch(self, loader: FrameLoader, frames: Sequence[int], settings: Settings) -> SeenVideo:
        """Let the language model read these frames, in order; of the settings, pixel limits count.

        Raises InputError where they make a longer prompt than the model was trained for.
        """
        images = [(time,) for time in frames]
        video = SeenVideo(loader.shape[1:], len(images), settings, None)
        (prompt,) = self._prompts(video, [""])
        seen = self.reader.look(loader, images, settings)
        shared = prompt.ids[: prompt.shared]
        video.prefix = self._numbers(partial(self.reader.read_images, seen, shared))
        return video

    @torch.inference_mode()
    def odds(self, video: SeenVideo, questions: Sequence[str], at_once: int = 64) -> list[float]:
        """Return for each question the log-odds of "yes" against "no", at the first token.

        What looks like a special token in one is read as text. Raises InputError for a prompt that
        is too long, and for odds that are no number.
        """
        assert video.prefix is not None
        added = self.reader.tokenizer.added
        prompts = self._prompts(video, [spell_out(question, added) for question in questions])
        behind = [prompt.question for prompt in prompts]
        found: list[float] = []
        for start in range(0, len(behind), at_once):
            part = behind[start : start + at_once]
            ask = partial(odds_of_yes, self.reader.language, self.reader.tokenizer, video.prefix)
            found += self._numbers(partial(ask, part))
        return found

    def _prompts(self, video: SeenVideo, questions: Sequence[str]) -> list[Prompt]:
        prompts = [
            self.reader.prompt(video.images, question, video.size, video.settings)
            for question in questions
        ]
        longest = max((len(prompt.ids) for prompt in prompts), default=0)
        if longest >= self.reader.context:
            raise InputError(
                f"{video.images} frames make a prompt of {longest} tokens, more than the "
                f"{self.reader.context} this judge was trained for; set frames or max_pixels in "
                "[gate] lower"
            )
        return prompts

    def _numbers(self, run: Callable[[], Result]) -> Result:
        try:
            return run()
        except NotFinite as error:
            where = first_not_finite(self.reader.network, run) or str(error)
        raise InputError(
            f"in {self.reader.dtype}, {where} is NaN or infinite, so the judge says nothing; try "
            'dtype = "float32" in [compute], or fetch it again'
        )


@dataclass(frozen=True)
class OpenedJudge:
    """A checkpoint folder of which everything was read but the values of its weights."""

    config: QwenVLConfig
    tokenizer: Tokenizer
    network: Speaker  # without values
    filling: Filling


def open_judge(folder: Path) -> OpenedJudge:
    """Read what lies in a folder, but no value: a second, whatever its size.

    Raises InputError when it is not a complete, consistent checkpoint of a plain Qwen2.5-VL or
    Qwen3-VL.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such checkpoint folder")
    if not recognises(nested(read_values(folder))):
        raise InputError(f"{folder}: config.json is of no Qwen2.5-VL or Qwen3-VL; {TAKE_ONE}")
    headers = read_headers(shard_files(folder))
    keys = {key for shapes in headers.values() for key in shapes}
    if any(key.startswith("grounding_encoder.") for key in keys):
        raise InputError(
            f"{folder}: this is a Sa2VA; {TAKE_ONE}. To ask a Sa2VA, set ask = true for its expert"
        )
    config = read_config(folder, has_tuned_decoder=False)
    tokenizer = load_tokenizer(folder, PLAIN_TOKENS)
    network = lay_out_speaker(config)
    filling = prepare_filling(network, config, plain_sources(network, keys), headers)
    return OpenedJudge(config, tokenizer, network, filling)


def load_judge(
    folder: str | Path, device: str | torch.device = "auto", dtype: str | torch.dtype = "auto"
) -> Judge:
    """Load a plain Qwen2.5-VL or Qwen3-VL from a folder of released files; raises as `open_judge`.

    `device` "auto" is the GPU when there is one; `dtype` "auto" is bfloat16 on a GPU that has it,
    else float32.
    """
    place, precision = settle_for_model(device, dtype)
    opened = open_judge(Path(folder))
    fill(opened.network, opened.filling, place, precision)
    return Judge(Reader(opened.network, opened.config, opened.tokenizer, place, precision))
