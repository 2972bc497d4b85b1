"""What a run will do, before it does it: counts, key frames, size of the zip, what is done.

Pure arithmetic over a checked split; nothing is opened and no model is loaded.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import sqrt

from submission.dataset.records import Split
from submission.output.zip_file import LARGE_ZIP
from submission.video.sampling import Sampling, key_frames

# Bytes of a two-blob 1-bit mask by frame size, measured with PIL on synthetic masks: 5.5 KB at
# 1080p, 3.6 KB at 720p, so about 3.8 bytes for each pixel of the square root of the area. An
# 8-bit mask of the same content takes 1.3 times that.
BYTES_PER_SIDE = 3.8
EIGHT_BIT_FACTOR = 1.3
ZIP_ENTRY_BYTES = 150  # headers and names of one archive member


@dataclass(frozen=True)
class ExpertPlan:
    """One expert's share: key frames read by its language model, sentences already answered."""

    name: str
    key_frames: int  # over all videos; 0 for given masks
    done: int  # sentences


@dataclass(frozen=True)
class Plan:
    """The whole run in numbers."""

    split: str
    videos: int
    sentences: int
    frames: int
    masks: int
    zip_bytes: int
    experts: tuple[ExpertPlan, ...]
    sharing: tuple[str, ...] = ()  # in words: which experts share what
    cost: tuple[str, ...] = ()  # in words: work, memory and time of the experts with a model
    approximations: Mapping[str, str] = field(default_factory=dict)  # of experts, in words
    gate: tuple[str, ...] = ()  # in words: its rule, and what speaks against it

    def lines(self) -> list[str]:
        """The plan in words, one line each."""
        lines = [
            f"split      {self.split}: {self.videos} videos, {self.sentences} sentences, "
            f"{self.frames} frames",
            f"masks      {self.masks} PNG files, zip of about {_size(self.zip_bytes)}",
        ]
        for expert in self.experts:
            state = f"{expert.done} of {self.sentences} sentences done"
            shown = f"{expert.key_frames} key frames, " if expert.key_frames else "given masks, "
            lines.append(f"expert     {expert.name}: {shown}{state}")
        for name, words in self.approximations.items():
            lines.append(f"warning    expert {name} is an approximation: {words}")
        lines += [f"shared     {words}" for words in self.sharing]
        lines += self.gate
        if self.zip_bytes > LARGE_ZIP:
            lines.append(
                f"warning    the zip will be above {_size(LARGE_ZIP)}; such uploads often fail. "
                'Set png = "1bit" in [output] if it is not'
            )
        return [*lines, *self.cost]


def make_plan(
    split: Split,
    png: str,
    sampled: Mapping[str, tuple[int, Sampling] | None],
    done: Mapping[str, int],
    sharing: Sequence[str] = (),
    cost: Sequence[str] = (),
    approximations: Mapping[str, str] | None = None,
) -> Plan:
    """Count a run: `sampled` gives each expert's number of key frames and sampling, or None.

    `sharing` says in words which experts share what, `cost` what that takes, `approximations`
    which experts leave out something, and what.
    """
    experts = tuple(
        ExpertPlan(name, _key_frames(split, rule) if rule else 0, done[name])
        for name, rule in sampled.items()
    )
    return Plan(
        split.name, len(split.videos), split.num_sentences, split.num_frames, split.num_masks,
        estimate_zip(split, png), experts, tuple(sharing), tuple(cost),
        approximations or {},
    )  # fmt: skip


def estimate_zip(split: Split, png: str) -> int:
    """Estimate the bytes of the zip from the sizes of the videos."""
    factor = BYTES_PER_SIDE * (1 if png == "1bit" else EIGHT_BIT_FACTOR)
    sides: Sequence[float] = [sqrt(v.size[0] * v.size[1]) * v.num_masks for v in split.videos]
    return round(factor * sum(sides) + ZIP_ENTRY_BYTES * split.num_masks)


def _key_frames(split: Split, rule: tuple[int, Sampling]) -> int:
    count, sampling = rule
    return sum(len(key_frames(len(v.frame_names), count, sampling)) for v in split.videos)


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.2f} GB"
