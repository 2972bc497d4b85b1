"""Render index.html from the summaries of all videos, the score and the run record.

Every text that comes from outside (sentences, names, answers) passes Jinja's escaping, or goes as
JSON into a script and from there into the page as text, never as markup.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from submission.counted import counted
from submission.dataset.records import Split
from submission.masks.ballot import Voting
from submission.report.charts import histogram, mean_matrix, record_line
from submission.report.video_part import Json, script_json, truth_layer, vote_layer
from submission.score.score_file import VOTE, Result

TEMPLATES = Path(__file__).parent / "template"
SCRIPTS = ("masks.js", "figure.js", "sentences.js", "viewer.js", "page.js")  # in this order


def render(
    split: Split,
    voting: Voting,
    videos: Sequence[Json],
    results: Mapping[str, Result],
    record: Mapping[str, Any],
    notes: Sequence[str] = (),
) -> str:
    """Return the page.

    `videos` holds for each video of the split `frames` and `sentences`, as `write_frames` and
    `write_video` return them, and the addresses of its `files`; `results` are those of the score,
    empty where there is none; `record` is run.json; `notes` stand below the results.
    """
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    layers = _layers(voting, results, has_truth=split.mask_file is not None)
    data = _page_data(split, layers, videos, results)
    sentences = [sentence for video in videos for sentence in video["sentences"]]
    scored = list(results[VOTE].expressions.values()) if VOTE in results else []
    template = environment.get_template("index.html")
    return template.render(
        split=split,
        counted=counted,
        record=record,
        notes=notes,
        warnings=record.get("warnings", []),
        rule=voting.rule,
        facts=record_line(record),
        rows=_rows(layers, sentences, results),
        columns=_score_columns(results),
        headline=results[VOTE].means["J&F"] if VOTE in results else None,
        bars=histogram([(j + f) / 2 for j, f in scored]) if scored else [],
        matrix=_matrix(voting, sentences),
        gate=_gate(split, videos),
        close=_share(sum(s["close"] for s in sentences), sum(s["marked"] for s in sentences)),
        style=_text("style.css"),
        script=Markup("\n").join(_text(name) for name in SCRIPTS),
        data=Markup(script_json(data)),
    )


def _layers(voting: Voting, results: Mapping[str, Result], has_truth: bool) -> list[Json]:
    """Name the layers by their bit; a single expert is the vote and is not drawn twice."""
    alone = len(voting.members) == 1
    experts = [] if alone else list(enumerate(voting.members))
    vote_name = voting.members[0] if alone else VOTE
    layers = [
        *(_layer(bit, "expert", name, bit, name) for bit, name in experts),
        _layer(vote_layer(voting), "vote", vote_name, 0 if alone else None, VOTE),
    ]
    for layer in layers:
        layer["result"] = layer["result"] if layer["result"] in results else None
    if has_truth:
        layers.append(_layer(truth_layer(voting), "truth", "ground truth", None, None))
    return layers


def _layer(bit: int, kind: str, name: str, member: int | None, result: str | None) -> Json:
    """`member` says whose answer text belongs to the layer, `result` which score."""
    return {"bit": bit, "kind": kind, "name": name, "member": member, "result": result}


def _page_data(
    split: Split, layers: Sequence[Json], videos: Sequence[Json], results: Mapping[str, Result]
) -> Json:
    """Return what the scripts of the page know from the start; masks come video by video."""
    listed = []
    for video, made in zip(split.videos, videos, strict=True):
        sentences = []
        for sentence in made["sentences"]:
            key, pairs = f"{video.name}/{sentence['id']}", sentence["pairs"]
            scores = [
                results[layer["result"]].expressions.get(key) if layer["result"] else None
                for layer in layers
            ]
            sentences.append(
                {
                    "id": sentence["id"],
                    "text": sentence["sentence"],
                    "agreement": sum(pairs) / len(pairs) if pairs else None,
                    "empty": sentence["empty"],
                    "scores": scores,
                    "gate": sentence["gate"],
                }
            )
        height, width = video.size
        listed.append(
            {
                "name": video.name,
                "width": width,
                "height": height,
                "files": made["files"],
                "count": len(video.frame_names),
                "tile": made["frames"]["tile"],
                "columns": made["frames"]["columns"],
                "sentences": sentences,
            }
        )
    return {"layers": layers, "videos": listed}


def _rows(
    layers: Sequence[Json], sentences: Sequence[Json], results: Mapping[str, Result]
) -> list[Json]:
    """Return for each layer its means, and in how many sentences no frame has a mask."""
    return [
        {
            "name": layer["name"],
            "kind": layer["kind"],
            "means": results[layer["result"]].means if layer["result"] else {},
            "empty": sum(layer["bit"] in sentence["empty"] for sentence in sentences),
        }
        for layer in layers
    ]


def _score_columns(results: Mapping[str, Result]) -> list[str]:
    """Name the means of the results; the one that everybody looks at comes first."""
    names = list(dict.fromkeys(name for result in results.values() for name in result.means))
    return sorted(names, key=lambda name: name != "J&F")


def _matrix(voting: Voting, sentences: Sequence[Json]) -> list[tuple[str, list[float | None]]]:
    if len(voting.members) < 2:
        return []
    matrix = mean_matrix(len(voting.members), [(s["present"], s["pairs"]) for s in sentences])
    return list(zip(voting.members, matrix, strict=True))


def _gate(split: Split, videos: Sequence[Json]) -> Json | None:
    """Count what the gate emptied, and how often that was right where the truth is known."""
    known = split.mask_file is not None
    rows = [
        (sentence["gate"]["emptied"], expression.annotation_ids == ())
        for video, made in zip(split.videos, videos, strict=True)
        for expression, sentence in zip(video.expressions, made["sentences"], strict=True)
        if sentence["gate"]
    ]
    if not rows:
        return None
    return {
        "emptied": sum(emptied for emptied, _ in rows),
        "right": sum(emptied and empty for emptied, empty in rows) if known else None,
        "no_target": sum(empty for _, empty in rows) if known else None,
    }


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _text(name: str) -> Markup:
    return Markup((TEMPLATES / name).read_text(encoding="utf-8"))
