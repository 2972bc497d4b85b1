"""The keys of an [[expert]] that is a Sa2VA: those of a call, and the model's."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Annotated, Literal

from pydantic import Field

from submission.errors import Fault
from submission.models.sa2va.procedures import PROCEDURES, idle_faults
from submission.models.sa2va.registry import templates
from submission.models.sa2va.settings import Choices, presence_faults
from submission.models.sa2va.settings import Settings as CallSettings


@dataclass(frozen=True, kw_only=True)
class Settings(Choices):
    """The keys of its [[expert]], beside name, kind and weight: those of a call, and the model's.

    Raises FaultyInput with everything that is wrong in them, and with what would do nothing.
    """

    checkpoint: Annotated[str, Field(min_length=1)]  # a folder, or a name in weights.lock
    sam2: str = ""  # SAM 2.0 large beside a Sa2VA checkpoint, for a procedure that needs both
    quantize: Literal["none", "int8"] = "none"  # approximation: the language model in eight bits

    template: str = ""  # the chat template of a checkpoint whose config.json states none
    # mode "q_frame": a JSON file with 100 frames for each expression (selected_frames.py)
    selected_frames: Annotated[str, Field(min_length=1)] | None = None

    def call(self, selected: tuple[int, ...] | None = None) -> CallSettings:
        """What the model is called with, for expressions with these selected frames."""
        chosen = {item.name: getattr(self, item.name) for item in fields(Choices)}
        return CallSettings(**chosen, selected_frames=selected)

    def _faults(self) -> Iterator[Fault]:
        yield from super()._faults()
        if self.template and self.template not in templates():
            known = ", ".join(templates())
            yield Fault("template", f'it is "{self.template}"; known: {known}')
        if self.procedure not in PROCEDURES:
            return
        yield from idle_faults(self)
        yield from presence_faults(self.mode, is_given=self.selected_frames is not None)
        if self.sam2 and not PROCEDURES[self.procedure].policy.needs_original_decoder:
            other = next(n for n, p in PROCEDURES.items() if p.policy.needs_original_decoder)
            yield Fault("sam2", f'it has no effect with procedure "{self.procedure}": drop it, or '
                        f'set procedure = "{other}"')  # fmt: skip

    @property
    def approximations(self) -> str:
        """How it differs from the model as it was trained, in words; empty for not at all."""
        seen = []
        if self.nearest_prompts:
            seen.append(f"the nearest {self.nearest_prompts} of the prompted frames")
        if self.memory_stride > 1:
            seen.append(f"recent memory maps in steps of {self.memory_stride} frames")
        words = [f"tracked frames see only {' and '.join(seen)}"] if seen else []
        if self.quantize == "int8":
            words.append("weights of the language model are rounded to 8 bits")
        return "; ".join(words)
