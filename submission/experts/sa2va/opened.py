"""What is wrong with a Sa2VA checkpoint for a split, found before any weights are read."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from submission.cost.released import KNOWN, PLAIN, config_json, has_two_decoders
from submission.dataset.records import Expression, Split, Video
from submission.did_you_mean import did_you_mean
from submission.errors import Fault, InputError, faults_of
from submission.experts.opened import in_short
from submission.models.sa2va.procedures import decoder_faults
from submission.models.sa2va.registry import kind_of
from submission.models.sa2va.settings import Settings
from submission.weights.checkpoints import CheckpointFinder

if TYPE_CHECKING:
    from submission.models.sa2va.loading import Opened

# The expressions of a video that are answered together, each group with its settings.
Calls = Callable[[Video], Sequence[tuple[Settings, Sequence[Expression]]]]


def checkpoint_faults(
    finder: CheckpointFinder, name: str, sam2: str, template: str, split: Split, calls: Calls
) -> Iterator[Fault]:
    """Everything that is seen without its values: of its files, of settings, of long sentences.

    Of a released one that is still to come, only settings that do not fit its family.
    """
    where = f"checkpoint {name}"
    try:
        folder = finder.openable(name)
        beside = finder.openable(sam2) if sam2 else None
    except InputError as error:  # its name is nowhere
        yield Fault("checkpoint", str(error).removeprefix("checkpoint "))
        return
    if folder is None and name in PLAIN:
        meant = did_you_mean(name, KNOWN)
        yield Fault(
            where, f"a plain Qwen-VL, which gives no masks; [gate] takes it as judge{meant}"
        )
        return
    if folder is None or (sam2 and beside is None):
        foreseen = partial(_foreseen, name, bool(sam2))
        yield from _of_all_settings(foreseen, where, split, calls)
        return
    found = finder.once((folder, beside, template), lambda: _open(folder, beside, template))
    if isinstance(found, InputError):
        yield from in_short(where, faults_of(found))
    else:
        yield from _of_all_settings(found.faults, where, split, calls)
        yield from _long_sentences(found, split, calls)


def _open(folder: Path, sam2: Path | None, template: str) -> "Opened | InputError":
    from submission.models.sa2va.loading import open_checkpoint

    try:
        return open_checkpoint(folder, sam2=sam2, template=template)
    except InputError as error:
        return error


def _foreseen(name: str, has_sam2: bool, call: Settings) -> Iterator[Fault]:
    """What contradicts a checkpoint that is not there, as far as its released sizes tell."""
    if name in KNOWN:
        yield from kind_of(config_json(name)).faults(call)
        has_tuned_decoder = has_sam2 or has_two_decoders(name)
        yield from decoder_faults(call.procedure, has_tuned_decoder=has_tuned_decoder)


def _of_all_settings(
    faults: Callable[[Settings], Iterator[Fault]], where: str, split: Split, calls: Calls
) -> Iterator[Fault]:
    """The faults of all settings that a split's calls have, each once."""
    settings = {call for video in split.videos for call, _ in calls(video)}
    found = dict.fromkeys(fault for call in settings for fault in faults(call))
    yield from (Fault(f"{where}: {fault.where}", fault.what) for fault in found)


def _long_sentences(opened: "Opened", split: Split, calls: Calls) -> Iterator[Fault]:
    from submission.models.sa2va.prompts import long_sentences, shortened

    for video in split.videos:
        length, size = len(video.frame_names), video.size
        for call, asked in calls(video):
            sentences = [expression.sentence for expression in asked]
            for place, why in long_sentences(opened.prompting, sentences, length, size, call):
                where = f"video {video.name}, expression {asked[place].id}"
                yield Fault(where, f"{shortened(sentences[place])} is too long: {why}")
