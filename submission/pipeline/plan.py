"""What a run will do, before it does it: counts, what is looked at, size of the zip, cost.

Pure arithmetic over what `prepare` settled; nothing is opened and no model is loaded.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

from submission.counted import counted
from submission.dataset.records import Split
from submission.experts.sharing import sharing_in_words, votes_in_vain
from submission.output.zip_file import LARGE_ZIP
from submission.pipeline.forecast import plan_cost
from submission.pipeline.prepare import Prepared
from submission.weights.sizes import in_words

# Bytes of a two-blob 1-bit mask by frame size, measured with PIL on synthetic masks: 5.5 KB at
# 1080p, 3.6 KB at 720p, so about 3.8 bytes for each pixel of the square root of the area. An
# 8-bit mask of the same content takes 1.3 times that.
BYTES_PER_SIDE = 3.8
EIGHT_BIT_FACTOR = 1.3
BLOCK = 4096  # bytes that a file takes at least on most disks
NO_GRAPHS = 'compile = "parts" has no effect: CUDA graphs need a GPU, and the device is a CPU'
ZIP_ENTRY_BYTES = 150  # headers and names of one archive member


@dataclass(frozen=True)
class ExpertPlan:
    """One expert's share."""

    name: str
    summary: str  # in words: what it looks at
    done: int  # sentences that are answered
    warnings: tuple[str, ...] = ()  # each a sentence without its subject


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
    in_vain: tuple[str, ...] = ()  # in words: which experts answer alike
    cost: tuple[str, ...] = ()  # in words: work, memory and time of the experts with a model
    gate: tuple[str, ...] = ()  # in words: its rule, and what speaks against it
    compiled: str = ""  # in words: what will be recorded of the models, or why nothing
    weights: tuple[str, ...] = ()  # in words: what of the checkpoints is to come, and room for it
    disk: str = ""  # in words: what is free where the run goes

    @property
    def run_bytes(self) -> int:
        """What masks and zip take on a disk, about: each mask twice, and its file's last block."""
        return 2 * self.zip_bytes + BLOCK * self.masks

    def lines(self) -> list[str]:
        """The plan in words, one line each."""
        lines = [
            f"split      {self.split}: {counted(self.videos, 'video')}, "
            f"{counted(self.sentences, 'sentence')}, {counted(self.frames, 'frame')}",
            f"masks      {counted(self.masks, 'PNG file')}, "
            f"zip of about {in_words(self.zip_bytes)}",
        ]
        if self.disk:
            lines.append(f"disk       {in_words(self.run_bytes)} for masks and zip; {self.disk}")
        for expert in self.experts:
            state = f"{expert.done} of {counted(self.sentences, 'sentence')} done"
            words = ", ".join(filter(None, (expert.summary, state)))
            lines.append(f"expert     {expert.name}: {words}")
        lines += [f"warning    expert {one.name} {w}" for one in self.experts for w in one.warnings]
        lines += [f"weights    {words}" for words in self.weights]
        lines += [f"shared     {words}" for words in self.sharing]
        lines += [f"vote       {words}" for words in self.in_vain]
        lines += self.gate
        lines += [f"recorded   {self.compiled}"] if self.compiled else []
        if self.zip_bytes > LARGE_ZIP:
            lines.append(
                f"warning    the zip will be above {in_words(LARGE_ZIP)}; such uploads often fail. "
                'Set png = "1bit" in [output] if it is not'
            )
        return [*lines, *self.cost]


def make_plan(prepared: Prepared, png: str) -> Plan:
    """Count a run that was prepared, for masks that are written as `png`."""
    split, todo = prepared.split, prepared.todo
    compute, on_gpu = prepared.on_gpu
    experts = tuple(
        ExpertPlan(
            expert.name, expert.summary(split.videos), prepared.done[expert.name],
            expert.warnings(),
        )
        for expert in prepared.experts
    )  # fmt: skip
    share = prepared.compute.share_features == "auto"
    cost = plan_cost(on_gpu, todo, compute, prepared.gpu, prepared.schedule)
    return Plan(
        split.name, len(split.videos), split.num_sentences, split.num_frames, split.num_masks,
        estimate_zip(split, png), experts,
        tuple(sharing_in_words(prepared.schedule, todo, share=share)),
        tuple(votes_in_vain(prepared.experts, split.videos)), tuple(cost),
        compiled=_compiled(prepared),
    )  # fmt: skip


def _compiled(prepared: Prepared) -> str:
    if prepared.compute.compile == "off":
        return ""
    if prepared.gpu is None:
        return NO_GRAPHS
    return "what has a fixed shape, as CUDA graphs, when it comes for the second time"


def estimate_zip(split: Split, png: str) -> int:
    """Estimate the bytes of the zip from the sizes of the videos."""
    factor = BYTES_PER_SIDE * (1 if png == "1bit" else EIGHT_BIT_FACTOR)
    sides: Sequence[float] = [sqrt(v.size[0] * v.size[1]) * v.num_masks for v in split.videos]
    return round(factor * sum(sides) + ZIP_ENTRY_BYTES * split.num_masks)
