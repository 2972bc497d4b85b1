"""Look at the zip as the judge does: whether it is whole. Knows the zip, not how it was made."""

from pathlib import Path

from submission.code_digest import code_digest
from submission.dataset.records import Split
from submission.files.whole import write_json
from submission.output.check import Verdict, check
from submission.run.folder import RunFolder
from submission.run.stages import contents, file_states
from submission.terminal.progress import Reporter

CHECK_UNITS = 0.02  # cost of a mask; predicting one is 1


def check_run(split: Split, run: RunFolder, *, require_team: bool, reporter: Reporter) -> Verdict:
    """Check the run's zip, write check.json and return the verdict."""
    inputs = {
        "zip": file_states([run.zip]),
        "team": require_team,
        "masks": [
            [video.name, video.size, video.frame_names, [one.id for one in video.expressions]]
            for video in split.videos
        ],
        "code": code_digest(__name__),
    }
    record = run.stages.read("check")
    if run.stages.is_current("check", inputs, [run.check]) and record.get("ok"):
        return Verdict(run.zip, split.name, (), record["counts"])
    verdict = check_files(run.zip, split, require_team=require_team, reporter=reporter)
    write_json(run.check, verdict.to_json())
    run.stages.record(
        "check", inputs, made=contents([run.check]), ok=verdict.ok, counts=verdict.counts
    )
    return verdict


def check_files(path: Path, split: Split, *, require_team: bool, reporter: Reporter) -> Verdict:
    """Check a zip or folder of PNGs and return the verdict."""
    reporter.stage("check")
    count = reporter.counter(split.num_masks, CHECK_UNITS, "masks")
    verdict = check(path, split, require_team=require_team, on_file=count)
    if verdict.counts["files"] and verdict.counts["empty_masks"] == verdict.counts["files"]:
        reporter.warn(
            f"{path}: no mask has any foreground, so nothing would be found; PNG files with a "
            "palette count by the brightness of their colours, and black is background"
        )
    return verdict


def keep_verdict(verdict: Verdict, out: Path, reporter: Reporter) -> bool:
    """Write the verdict to `out`; where that cannot be, say so and return False."""
    try:
        write_json(out, verdict.to_json())
    except OSError as error:
        reporter.warn(f"{out}: the verdict could not be kept here ({error.strerror or error})")
        return False
    return True
