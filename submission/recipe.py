"""What to run: data, experts, vote and output, as frozen records read from TOML.

Everything that can be wrong in a recipe is found here, at once and in sentences, before data or a
checkpoint is touched. Paths in a recipe are relative to the recipe's own folder.
"""

import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args

from submission.dataset.names import name_fault
from submission.errors import Fault, FaultyInput, InputError
from submission.gate.calibration_file import gate_of, read_calibration
from submission.gate.decision import Gate
from submission.gate.evidence import KINDS
from submission.masks.voting import MOST_MEMBERS, Rule
from submission.models.sa2va.procedures import idle_faults
from submission.models.sa2va.settings import Mode, ProcedureName
from submission.output.team import team_faults
from submission.toml_table import Table
from submission.video.sampling import PromptFrames, Sampling

PACKAGED = Path(__file__).parent / "recipes"
SAMPLE = "sample"  # the packaged recipe of a call without arguments

RECENT_MAPS = 6  # that SAM 2 looks back on; a longer stride than this means nothing

Procedure = ProcedureName
Seg = Literal["first", "union"]
# The others need a tuple of frames for each call; a recipe cannot name one yet.
RECIPE_MODES = tuple(mode for mode in get_args(Mode) if mode != "q_frame")
Missing = Literal["error", "skip"]
Quantize = Literal["none", "int8"]
Attention = Literal["auto", "flash", "cudnn"]
Png = Literal["1bit", "8bit"]


@dataclass(frozen=True)
class Sa2VAMember:
    """An expert that a checkpoint answers: one configuration of Sa2VA."""

    name: str
    checkpoint: str  # a folder, or a name below the weights folder
    procedure: Procedure = "sa2va"
    sampling: Sampling = "uniform"
    frames: int = 5  # key frames, at most
    prompt_frames: PromptFrames = "sampled"
    seg: Seg = "first"  # with several [SEG] in an answer: the first, or the union of all masks
    sam2: str = ""  # SAM 2.0 large beside a Sa2VA checkpoint, for sa2va-i
    max_new_tokens: int = 2048
    nearest_prompts: int = 0  # approximation: prompted frames that are seen; 0 for all
    memory_stride: int = 1  # approximation: every n-th of the recent memory maps is seen
    mode: Mode = "uniform"  # of SaSaSa2VA: which frames it sees, and which [SEG] prompts which
    quantize: Quantize = "none"  # approximation: "int8" keeps the language model in eight bits
    weight: float = 1.0

    @property
    def model(self) -> str:
        """What names its loaded model among the experts of a recipe."""
        return f"{self.checkpoint} {self.sam2} {self.quantize}"

    @property
    def approximation(self) -> str:
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


@dataclass(frozen=True)
class MasksMember:
    """An expert whose masks are given: a folder or zip of PNGs in the submission layout."""

    name: str
    masks: Path
    weight: float = 1.0


Member = Sa2VAMember | MasksMember


@dataclass(frozen=True)
class Compute:
    """Where and how much at once; changes speed and memory, and results only in last bits."""

    device: str = "auto"
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    sentences_at_once: int = 64
    objects_at_once: int = 16
    images_at_once: int = 0  # 0: four on a CPU, eight on a GPU
    attention: Attention = "auto"  # the kernel of memory attention on a GPU
    share_features: Literal["auto", "off"] = "auto"  # by experts with an equal image encoder
    features_gb: float = 8.0  # image features of one video that may be kept, on GPU or host
    frames_gb: float = 2.0  # decoded frames that may wait in host memory


@dataclass(frozen=True)
class Published:
    """What somebody else reports for this run, to be printed beside ours; in percent."""

    source: str
    split: str
    means: Mapping[str, float]  # "J&F", "J", "F", as far as they are reported


@dataclass(frozen=True)
class Recipe:
    """A whole run."""

    name: str
    folder: Path  # paths in the recipe are relative to this
    experts: tuple[Member, ...]
    root: Path | None = None
    split: str | None = None
    meta: str | None = None  # the meta file, where a split has several
    rule: Rule = "majority"
    missing: Missing = "error"  # what to do when a member has no prediction for a sentence
    png: Png = "1bit"
    team: Mapping[str, Any] | None = None  # becomes team.json in the zip
    compute: Compute = field(default_factory=Compute)
    published: Published | None = None
    gate: Gate | None = None  # empties sentences that refer to nothing

    def with_data(self, root: Path | None, split: str | None, meta: str | None) -> "Recipe":
        """Return the recipe with the data that the command line names."""
        return replace(
            self, root=root or self.root, split=split or self.split, meta=meta or self.meta
        )


def read_recipe(name_or_path: str) -> Recipe:
    """Read a recipe file, or a packaged recipe by name.

    Raises InputError when there is none or it is no TOML, FaultyInput with all its faults.
    """
    path = Path(name_or_path)
    if path.suffix != ".toml" and (PACKAGED / f"{name_or_path}.toml").is_file():
        path = PACKAGED / f"{name_or_path}.toml"
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, IsADirectoryError):
        known = ", ".join(packaged_recipes())
        raise InputError(
            f"{name_or_path}: no such recipe; give a .toml file, or one of the packaged: {known}"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not valid TOML: {error}") from None
    return parse_recipe(values, path)


def packaged_recipes() -> list[str]:
    """Return the names of the recipes that come along; `series/name` for those of a series."""
    files = sorted(PACKAGED.rglob("*.toml"))
    return [file.relative_to(PACKAGED).with_suffix("").as_posix() for file in files]


def recipe_series(name_or_path: str) -> list[str]:
    """Return the recipes that a name stands for: itself, or all in a folder of recipes."""
    for folder in (PACKAGED / name_or_path, Path(name_or_path)):
        if folder.is_dir():
            return [str(file) for file in sorted(folder.glob("*.toml"))] or [name_or_path]
    return [name_or_path]


def parse_recipe(values: Mapping[str, Any], path: Path) -> Recipe:
    """Turn a recipe's TOML tables into a Recipe; raise FaultyInput with everything wrong in it."""
    faults: list[Fault] = []
    top = Table(values, "", faults)
    data, vote, output = top.table("data"), top.table("vote"), top.table("output")
    folder = path.parent.resolve()
    root = data.text("root")
    recipe = Recipe(
        name=top.text("name") or path.stem,
        folder=folder,
        experts=tuple(_members(top, folder)),
        root=folder / Path(root).expanduser() if root else None,
        split=data.text("split"),
        meta=data.text("meta"),
        rule=vote.choice("rule", get_args(Rule), "majority"),
        missing=vote.choice("missing", get_args(Missing), "error"),
        png=output.choice("png", get_args(Png), "1bit"),
        team=top.table("team").raw() or None,
        compute=_compute(top.table("compute")),
        published=_published(top.table("published")) if top.has("published") else None,
        gate=_gate(top.table("gate"), folder, faults) if top.has("gate") else None,
    )
    for table in (data, vote, output, top):
        table.refuse_unknown()
    faults += _contradictions(recipe)
    if faults:
        raise FaultyInput(f"{path}: the recipe has faults:", faults)
    return recipe


def _members(top: Table, folder: Path) -> Iterator[Member]:
    for table in top.tables("expert"):
        name, weight = table.text("name") or "", table.number("weight", 1.0)
        if table.has("masks"):
            masks = folder / Path(table.text("masks") or "").expanduser()
            yield MasksMember(name, masks, weight)
        else:
            yield Sa2VAMember(
                name=name,
                checkpoint=table.text("checkpoint") or "",
                procedure=table.choice("procedure", get_args(Procedure), "sa2va"),
                sampling=table.choice("sampling", get_args(Sampling), "uniform"),
                frames=table.count("frames", 5),
                prompt_frames=table.choice("prompt_frames", get_args(PromptFrames), "sampled"),
                seg=table.choice("seg", get_args(Seg), "first"),
                sam2=table.text("sam2") or "",
                max_new_tokens=table.count("max_new_tokens", 2048),
                nearest_prompts=table.count("nearest_prompts", 0, least=0),
                memory_stride=table.count("memory_stride", 1),
                mode=table.choice("mode", RECIPE_MODES, "uniform"),
                quantize=table.choice("quantize", get_args(Quantize), "none"),
                weight=weight,
            )
        table.refuse_unknown()


def _compute(table: Table) -> Compute:
    compute = Compute(
        device=table.text("device") or "auto",
        dtype=table.choice("dtype", ("auto", "float32", "bfloat16"), "auto"),
        sentences_at_once=table.count("sentences_at_once", 64),
        objects_at_once=table.count("objects_at_once", 16),
        images_at_once=table.count("images_at_once", 0, least=0),
        attention=table.choice("attention", get_args(Attention), "auto"),
        share_features=table.choice("share_features", ("auto", "off"), "auto"),
        features_gb=table.number("features_gb", 8.0),
        frames_gb=table.number("frames_gb", 2.0),
    )
    table.refuse_unknown()
    return compute


def _published(table: Table) -> Published:
    numbers = {"J&F": "j_and_f", "J": "j", "F": "f"}
    means = {label: table.number(key, 0.0) for label, key in numbers.items() if table.has(key)}
    published = Published(table.text("source") or "", table.text("split") or "", means)
    table.know(*numbers.values())
    table.refuse_unknown()
    return published


def _gate(table: Table, folder: Path, faults: list[Fault]) -> Gate | None:
    file, evidence = table.text("calibration"), table.text("evidence")
    threshold = table.number("below", 0.0)
    has_threshold = table.has("below")
    table.refuse_unknown()
    if bool(file) == bool(evidence) or bool(evidence) != has_threshold:
        faults.append(Fault("[gate]", "it needs calibration, or evidence and below"))
    elif evidence is not None and evidence not in KINDS:
        faults.append(Fault("[gate] evidence", f'"{evidence}"; the kinds are {", ".join(KINDS)}'))
    elif evidence is not None:
        return Gate.below(evidence, threshold)
    elif file is not None:
        try:
            return read_calibration(folder / Path(file).expanduser())
        except InputError as error:
            faults.append(Fault("[gate] calibration", str(error)))
    return None


def _contradictions(recipe: Recipe) -> Iterator[Fault]:
    if recipe.team is not None:
        yield from (Fault("[team]", what) for what in team_faults(recipe.team))
    for key in ("features_gb", "frames_gb"):
        if not 0 <= (value := getattr(recipe.compute, key)) < float("inf"):
            yield Fault(f"[compute] {key}", f"it is {value}; it must be at least 0 and finite")
    if not recipe.experts:
        yield Fault("[[expert]]", "there is none; a run needs at least one expert")
    if len(recipe.experts) > MOST_MEMBERS:
        yield Fault("[[expert]]", f"{len(recipe.experts)} experts; a vote has at most 16")
    if reason := name_fault(recipe.name):
        yield Fault("name", reason)
    seen: set[str] = set()
    for number, expert in enumerate(recipe.experts, 1):
        where = f"expert {number}"
        if reason := name_fault(expert.name):
            yield Fault(f"{where}, name", reason)
        if expert.name == "vote":
            yield Fault(f"{where}, name", '"vote" is what the result of the vote is called')
        if expert.name in seen:
            yield Fault(f"{where}, name", f'"{expert.name}" is taken; every expert needs its own')
        seen.add(expert.name)
        if not 0 < expert.weight < float("inf"):
            yield Fault(f"{where}, weight", f"it is {expert.weight}; it must be above 0 and finite")
        if isinstance(expert, Sa2VAMember) and expert.memory_stride > RECENT_MAPS:
            yield Fault(f"{where}, memory_stride", f"it is {expert.memory_stride}; there are only "
                        f"{RECENT_MAPS} recent memory maps")  # fmt: skip
        if isinstance(expert, Sa2VAMember):
            idle = idle_faults(expert)
            yield from (Fault(f"{where}, {fault.where}", fault.what) for fault in idle)
        if isinstance(expert, Sa2VAMember) and not expert.checkpoint:
            yield Fault(where, "it needs either checkpoint (a model answers) or masks (PNGs)")


def as_json(recipe: Recipe) -> dict[str, Any]:
    """Return the recipe as JSON values, for the run record; the team stays out of it."""
    values = asdict(replace(recipe, team=None))
    return dict(json.loads(json.dumps(values, default=str)))


def from_json(values: Mapping[str, Any]) -> Recipe:
    """Return the recipe that `as_json` wrote. Raises KeyError or TypeError for anything else."""
    experts: list[Member] = [
        MasksMember(**{**member, "masks": Path(member["masks"])})
        if "masks" in member
        else Sa2VAMember(**member)
        for member in values["experts"]
    ]
    return Recipe(
        **{
            **values,
            "folder": Path(values["folder"]),
            "experts": tuple(experts),
            "root": Path(values["root"]) if values["root"] else None,
            "compute": Compute(**values["compute"]),
            "published": Published(**values["published"]) if values["published"] else None,
            "gate": gate_of(values["gate"]) if values.get("gate") else None,
        }
    )


def describe(expert: Member) -> dict[str, Any]:
    """Return the settings of an expert that decide its predictions, as JSON values."""
    left_out = {"name", "weight"}
    return {
        item.name: str(value) if isinstance(value, Path) else value
        for item in fields(expert)
        if item.name not in left_out and (value := getattr(expert, item.name)) != ""
    }
