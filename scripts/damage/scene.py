"""What is damaged: a small split, masks of somebody else, a small model, and a finished run."""

import io
import json
import shutil
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path

from submission.cli import main
from submission.errors import InputError
from submission.files.sealed_json import read_sealed
from submission.files.whole import write_json
from submission.output.team import AGREEMENT

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "submission/samples"
VIDEOS, FRAMES = 2, 2

MODEL = """checkpoint = "model"
frames = 2
"""
RECIPE = f"""
[data]
root = "data"
split = "valid_u"
[[expert]]
name = "model"
{MODEL}[[expert]]
name = "given"
masks = "given.zip"
[vote]
rule = "paper"
[compute]
device = "cpu"
dtype = "float32"
"""
TEAM = {
    "team_name": "moths", "email": "moths@example.org", AGREEMENT: True,
    "members": [{"name": "A. Moth", "affiliation": "Lamp"}],
}  # fmt: skip


@dataclass(frozen=True)
class Target:
    """A file to be damaged, as a pattern below the scene, and the calls that meet it."""

    name: str
    pattern: str
    calls: tuple[tuple[str, ...], ...]
    is_of_run: bool = False  # then the run must be whole again in the end


DATA = ("--data", "data", "--split", "valid_u")
SUBMIT = ("submit", "--recipe", "recipe.toml", "--run", "out")
NEW = ("submit", "--recipe", "recipe.toml", "--run", "new")
CHECK, SCORE = ("check", "given.zip", *DATA), ("score", "given.zip", *DATA)
PLAN = (*NEW, "--dry-run")

INPUTS = (
    Target("zip of masks", "given.zip", (CHECK, SCORE, PLAN, NEW)),
    Target("PNG of a folder", "masks/*/*/*.png", (("check", "masks", *DATA),
                                                  ("score", "masks", *DATA))),
    Target("team.json", "masks/team.json", (("check", "masks", *DATA, "--team"),)),
    Target("frame", "data/valid_u/JPEGImages/*/*.jpg", (NEW,)),
    Target("meta file", "data/valid_u/meta_expressions.json", (PLAN, CHECK, SCORE)),
    Target("ground truth", "data/valid_u/mask_dict.json", (SCORE, NEW)),
    Target("recipe", "recipe.toml", (PLAN, NEW)),
    Target("weights.lock", "weights.lock", (("weights", "list", "--lock", "weights.lock"),
                                            ("weights", "verify", "--lock", "weights.lock"),
                                            (*PLAN, "--lock", "weights.lock"))),
    Target("config.json", "model/config.json", (PLAN, NEW)),
    Target("tokenizer.json", "model/tokenizer.json", (NEW,)),
    Target("tokenizer_config.json", "model/tokenizer_config.json", (NEW,)),
    Target("safetensors", "model/model.safetensors", (PLAN, NEW)),
)  # fmt: skip
REPORT, OF_RUN = ("report", "--run", "out"), ("score", "--run", "out")
AFTER = (SUBMIT, REPORT, OF_RUN, ("compare", "out", "out"))
UPLOAD = ("upload", "out", "--status", "--server", "http://127.0.0.1:9")
READ = (  # what a run left, read before anything makes it again
    Target("run.json, read", "out/run.json", (REPORT, OF_RUN, UPLOAD)),
    Target("score.json, read", "out/score.json", (("compare", "out", "out"), REPORT)),
    Target("stage record, read", "out/stages/**/*.json", (REPORT,)),
    Target("prediction, read", "out/predictions/*/*/*.json", (OF_RUN, REPORT)),
)
RUN = (
    Target("prediction", "out/predictions/*/*/*.json", AFTER, True),
    Target("expert.json", "out/predictions/*/expert.json", AFTER, True),
    Target("stage record", "out/stages/**/*.json", AFTER, True),
    Target("PNG of the vote", "out/Annotations/*/*/*.png", AFTER, True),
    Target("submission.zip", "out/submission.zip", AFTER, True),
    Target("check.json", "out/check.json", AFTER, True),
    Target("score.json", "out/score.json", AFTER, True),
    Target("score.csv", "out/score.csv", AFTER, True),
    Target("report part", "out/report/videos/*", AFTER, True),
    Target("page of the report", "out/report/*.*", AFTER, True),
    Target("run.json", "out/run.json", AFTER, True),
    Target("record of a call", "out/calls/*.json", AFTER, True),
    Target("log and lock", "out/*[tk]", AFTER, True),
    Target("upload.json", "out/upload.json", (SUBMIT, UPLOAD), True),
)


def lay_out(folder: Path, expert: str = MODEL) -> None:
    """Write the scene: all inputs, and the run that they give; `expert` predicts in it.

    Raises RuntimeError where there is no such run.
    """
    split = folder / "data/valid_u"
    sample = SAMPLES / "mevis/valid_u"
    meta = json.loads((sample / "meta_expressions.json").read_text())
    videos = {}
    for name in sorted(meta["videos"])[:VIDEOS]:
        one = meta["videos"][name]
        chosen = list(one["expressions"].items())[1:2]
        videos[name] = one | {"frames": one["frames"][:FRAMES], "expressions": dict(chosen)}
        (split / "JPEGImages" / name).mkdir(parents=True)
        for frame in videos[name]["frames"]:
            file = f"JPEGImages/{name}/{frame}.jpg"
            shutil.copy(sample / file, split / file)
    write_json(split / "meta_expressions.json", {"videos": videos})
    truth = json.loads((sample / "mask_dict.json").read_text())
    meant = {str(number) for video in videos.values()
             for one in video["expressions"].values() for number in one["anno_id"]}  # fmt: skip
    write_json(split / "mask_dict.json", {name: truth[name][:FRAMES] for name in sorted(meant)})
    shutil.copytree(SAMPLES / "small-5", folder / "model")
    shutil.copy(ROOT / "weights.lock", folder)
    recipe = RECIPE.replace(MODEL, expert)
    first = recipe.replace('[[expert]]\nname = "given"\nmasks = "given.zip"\n', "")
    (folder / "first.toml").write_text(first)
    (folder / "recipe.toml").write_text(recipe)
    _must(["submit", "--recipe", "first.toml", "--run", "first"])
    shutil.copy(folder / "first/submission.zip", folder / "given.zip")
    shutil.copytree(folder / "first/Annotations", folder / "masks")
    write_json(folder / "masks/team.json", TEAM)
    shutil.rmtree(folder / "first")
    _must(list(SUBMIT))
    (folder / "out/upload.json").write_text(json.dumps({"uploads": [{
        "server": "http://127.0.0.1:9", "competition": 1, "phase": 2,
        "zip": {"path": "submission.zip", "bytes": 1, "sha256": "0" * 64, "md5": "0" * 32},
        "steps": {"begin": {"begun": "2026-01-01T00:00:00+00:00"}},
    }]}))  # fmt: skip


def _must(words: list[str]) -> None:
    said = io.StringIO()
    with redirect_stderr(said), redirect_stdout(said):
        status = main([*words, "--quiet"])
    if status:
        raise RuntimeError(f"{words} ended with {status}:\n{said.getvalue()}")


def results(run: Path) -> dict[str, bytes]:
    """What must be the same after damage was mended: all that is read by people and judges."""
    wanted = ("submission.zip", "check.json", "score.json", "score.csv")
    files = [run / name for name in wanted]
    files += sorted((run / "Annotations").rglob("*.png"))
    files += sorted((run / "report/videos").glob("*"))
    found = {str(path.relative_to(run)): path.read_bytes() for path in files if path.is_file()}
    for path in sorted((run / "predictions").rglob("*.json")):
        with suppress(InputError):  # without its seal, which may be missing
            found[str(path.relative_to(run))] = json.dumps(read_sealed(path)).encode()
    return found
