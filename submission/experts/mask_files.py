"""An expert whose masks are there already: what any other model wrote as PNGs joins the vote."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from submission.dataset.records import Split, Video
from submission.errors import Fault, FaultyInput, InputError
from submission.experts.expert import Expert, Predictions, Tools
from submission.files.user_paths import expand
from submission.masks.store import Prediction
from submission.models.workload import Limits, Stages
from submission.output.given_masks import look_at_masks, members_by_name, size_faults
from submission.output.mask_files import MaskArchive, MaskFolder, open_submission
from submission.video.session import VideoSession
from submission.video.transforms import FrameRequest
from submission.weights.folder_digest import digest_folder
from submission.weights.hashes import hash_files


@dataclass(frozen=True)
class Settings:
    """The keys of its [[expert]], beside name, kind and weight."""

    masks: Annotated[str, Field(min_length=1)]  # a folder or zip of PNGs in the submission layout

    def __post_init__(self) -> None:
        try:
            expand(self.masks)
        except InputError as error:
            fault = Fault("masks", str(error))
            raise FaultyInput("the masks cannot be found:", [fault]) from None


def build(name: str, settings: Settings, tools: Tools) -> Expert:
    """Build one; the path is relative to the recipe."""
    return MaskFiles(name, tools.folder / expand(settings.masks), may_lack=tools.may_lack)


class MaskFiles(Expert):
    """An expert whose answers lie in a folder or zip of PNGs in the submission layout."""

    def __init__(self, name: str, path: Path, *, may_lack: bool = False) -> None:
        self.name = name
        self.path = path
        self.may_lack = may_lack  # whole expressions

    def identity(self) -> dict[str, Any]:
        """A digest of the zip, or of the names and bytes of all PNGs in the folder."""
        if not self.path.exists():
            raise InputError(f"expert {self.name}: {self.path}: no such folder or zip of masks")
        if self.path.is_file():
            return {"masks": hash_files([self.path])[self.path.name]}
        return {"masks": digest_folder(self.path, (n for n in self._names if n.endswith(".png")))}

    def faults(self, split: Split) -> Sequence[Fault]:
        """What the check would say of names, completeness and sizes; no pixel is decoded."""
        try:
            given = look_at_masks(self._files, split, may_lack=self.may_lack)
        except InputError as error:
            return [Fault("masks", str(error))]
        found = [*given.faults, *size_faults(self._files, split, given.members)]
        faults = [Fault(f"{self.path}: {fault.where}", fault.what) for fault in found]
        if given.members and given.faults and not self.may_lack:
            hint = 'masks may lack whole expressions with [vote] missing = "skip"'
            faults.append(Fault(str(self.path), hint))
        return faults

    def outdated(self, stored: Any) -> bool:
        """Other masks under the same name are imported again: no model has to work for that."""
        return isinstance(stored, dict) and "masks" in stored and stored != self.identity()

    def frames(self, video: Video) -> tuple[FrameRequest, ...]:
        """None: the frames do not matter."""
        return ()

    def predict(self, video: Video, session: VideoSession) -> Predictions:
        """Read the video's tracks; an expression of which no frame is there is left out."""
        return self._read(video)

    def _read(self, video: Video) -> Predictions:
        left_out = self.leaves_out(video)
        for expression in video.expressions:
            if expression.id not in left_out:
                track = self._files.read_track(video, expression.id, self._members)
                yield expression, Prediction(expression.sentence, track, of_frames=False)

    def leaves_out(self, video: Video) -> set[str]:
        """Expressions of which no frame is there."""
        ids = {expression.id for expression in video.expressions}
        return {id for id in ids if f"{video.name}/{id}" not in self._answered}

    def summary(self, videos: Sequence[Video]) -> str:
        return "given masks"

    def work(self, video: Video, limits: Limits) -> Stages:
        """None to speak of."""
        return {}

    @cached_property
    def _files(self) -> MaskFolder | MaskArchive:
        return open_submission(self.path)

    @cached_property
    def _names(self) -> list[str]:
        return self._files.names()

    @cached_property
    def _answered(self) -> set[str]:
        return {name.rpartition("/")[0] for name in self._members}  # folders with PNGs

    @cached_property
    def _members(self) -> Mapping[str, str]:
        return members_by_name(self._names)
