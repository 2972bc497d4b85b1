"""The report of a whole run: what is in it, what is escaped, and when it is made again."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from submission.dataset.mevis import read_split
from submission.errors import InputError
from submission.masks.ballot import Voting
from submission.report.writing import write_report
from submission.run.folder import RunFolder
from submission.terminal.progress import Reporter


def page_data(page: Path) -> dict:
    """The values that the page starts with."""
    line = re.search(r"^const data = (.*);$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return json.loads(line[1])


def video_data(page: Path, number: int) -> dict:
    """What a video's script hands to the page."""
    text = (page.parent / f"videos/video-{number:04}.js").read_text(encoding="utf-8")
    return json.loads(re.fullmatch(rf"report\.take\({number}, (.*)\);\n", text)[1])


def text_of(page: Path) -> str:
    """The page without its scripts and styles."""
    return re.sub(r"<(script|style)>.*?</\1>", "", page.read_text(encoding="utf-8"), flags=re.S)


@pytest.mark.usefixtures("score")
def test_the_page_holds_every_sentence_with_its_numbers(write):
    data = page_data(write())
    assert [layer["name"] for layer in data["layers"]] == [
        "left", "middle", "right", "vote", "ground truth",
    ]  # fmt: skip
    dogs = next(video for video in data["videos"] if video["name"] == "dogs")
    assert [one["id"] for one in dogs["sentences"]] == ["0", "2", "10"]
    cat, both, _ = dogs["sentences"]
    # Squares of 8 x 8 that are 2 and 4 pixels apart: 48 of 80 and 32 of 96 pixels in common.
    assert both["agreement"] == pytest.approx((48 / 80 + 32 / 96 + 48 / 80) / 3, abs=1e-6)
    assert cat["agreement"] == 1
    assert cat["empty"] == [0, 1, 2, 3, 4]
    assert both["empty"] == []
    assert both["scores"][3] == [0.1, 0.1] if data["videos"][0] is dogs else [0.2, 0.2]


@pytest.mark.usefixtures("score")
def test_the_page_shows_tables_histogram_and_record(write):
    text = text_of(write())
    assert "<b>30.00</b>" in text
    assert "3 experts, joined by a majority of their votes" in text
    assert text.count("<rect class=") == 40
    assert "25 to 30: 0 sentences" in text
    assert "sha256 abababababab" in text
    # Of each square pair: columns that one or two of the three experts marked, 8 of 12.
    assert "<b>66.7 %</b> of the pixels that any expert marked were decided by one vote" in text


def test_answers_curves_and_key_frames_are_in_the_script_of_the_video(write, hostile_split):
    page = write()
    names = [video.name for video in hostile_split.videos]
    both = video_data(page, names.index("dogs"))["sentences"][1]
    assert both["answers"][0] == {"text": "<i>left</i> [SEG]", "keys": [0], "segs": 1}
    assert both["grid"] == [24, 40]
    assert len(both["curves"]["vote"]) == len(both["curves"]["agreement"]) == 3


def test_a_run_without_a_score_has_a_page(write):
    page = write()
    assert "No score: this run has not been scored yet." in text_of(page)
    assert "<svg" not in re.sub(r'<svg id="curve".*?</svg>', "", text_of(page))


def test_a_split_without_truth_has_a_page(write, split_folder):
    (split_folder / "mask_dict.json").unlink()
    page = write(split=read_split(split_folder.parent, split_folder.name))
    assert "No score: this split has no public ground truth." in text_of(page)
    assert [layer["kind"] for layer in page_data(page)["layers"]] == ["expert"] * 3 + ["vote"]


def test_a_single_expert_is_the_vote(write):
    page = write(("middle",))
    layers = page_data(page)["layers"]
    assert [(layer["name"], layer["kind"]) for layer in layers] == [
        ("middle", "vote"),
        ("ground truth", "truth"),
    ]
    assert "One expert, no vote." in text_of(page)
    assert page_data(page)["videos"][0]["sentences"][0]["agreement"] is None


def test_a_member_without_an_answer_is_left_out_where_the_vote_skips_it(write, run):
    run.store.path("right", "dogs", "2").unlink()
    page = write(skip=True)
    videos = page_data(page)["videos"]
    number = next(n for n, video in enumerate(videos) if video["name"] == "dogs")
    assert video_data(page, number)["sentences"][1]["answers"][2] is None
    assert videos[number]["sentences"][1]["agreement"] == pytest.approx(48 / 80, abs=1e-6)


def test_nothing_from_outside_is_markup(write, hostile_split):
    page = write()
    sentences = [one["text"] for video in page_data(page)["videos"] for one in video["sentences"]]
    hostile = next(s for video in hostile_split.videos for s in video.expressions if s.id == "10")
    assert hostile.sentence in sentences
    text = page.read_text(encoding="utf-8")
    assert text.count("<script>") == text.count("</script>") == 1
    assert "\u2028" not in text
    assert "tiny &lt;recipe&gt;" in text
    for file in page.parent.glob("videos/*.js"):
        assert not re.search("[<>&\u2028]", file.read_text(encoding="utf-8"))


def test_the_page_needs_no_network(write):
    page = write()
    for file in [page, *page.parent.glob("videos/*.js")]:
        addresses = set(re.findall(r"\bhttps?://[^\s\"']+", file.read_text(encoding="utf-8")))
        assert addresses <= {"http://www.w3.org/2000/svg"}  # a name, never fetched


def test_the_folder_of_the_report_can_be_copied_alone(write, run, score, tmp_path):
    shutil.copytree(write().parent, tmp_path / "shared")
    links = re.findall(r'(?:href|src)="([^"#]+)"', text_of(tmp_path / "shared" / "index.html"))
    files = [link for link in links if not link.startswith("data:")]
    assert sorted(files) == ["run.json", "score.json"]
    for name in files:
        assert (tmp_path / "shared" / name).read_bytes() == (run.path / name).read_bytes()
    run.score.unlink()
    assert not write().with_name("score.json").exists()


def test_a_run_that_was_moved_is_still_current(write, run, hostile_split, tmp_path):
    write()
    moved = RunFolder(run.path.rename(tmp_path / "moved"))
    before = {path: path.stat().st_mtime_ns for path in moved.path.rglob("*")}
    voting = Voting(("left", "middle", "right"), (1.0,) * 3, "majority", False)
    write_report(hostile_split, moved, voting, Reporter("quiet"))
    assert {path: path.stat().st_mtime_ns for path in moved.path.rglob("*")} == before


def test_only_what_changed_is_written_again(write, run, score):
    page = write()
    files = sorted(path for path in page.parent.rglob("*") if path.is_file())
    before = {path: path.stat().st_mtime_ns for path in files}
    write()
    assert {path: path.stat().st_mtime_ns for path in files} == before

    answer = run.store.path("left", "cups", "0")
    answer.touch()
    write()
    changed = {path.name for path in files if path.stat().st_mtime_ns != before[path]}
    assert changed == {"index.html", *_files_of("cups", page)}

    before = {path: path.stat().st_mtime_ns for path in files}
    run.score.unlink()
    write()
    files.remove(page.with_name("score.json"))
    assert {p.name for p in files if p.stat().st_mtime_ns != before[p]} == {"index.html"}


def _files_of(video: str, page: Path) -> list[str]:
    entry = next(entry for entry in page_data(page)["videos"] if entry["name"] == video)
    return [Path(file).name for file in entry["files"]]


def test_files_of_videos_that_are_gone_are_removed(write, hostile_split):
    page = write()
    assert len(list((page.parent / "videos").iterdir())) == 4
    (page.parent / "videos" / ".video.partial").write_text("")
    write(split=replace(hostile_split, videos=hostile_split.videos[:1]))
    names = {path.name for path in (page.parent / "videos").iterdir()}
    assert names == {"video-0000.js", "video-0000.webp"}


def test_a_frame_that_was_mended_is_drawn_again(write, split_folder, capsys):
    frame = split_folder / "JPEGImages" / "dogs" / "00001.jpg"
    content = frame.read_bytes()
    frame.write_bytes(content[:100])
    page = write()
    assert "shown in grey: video dogs, frame 00001" in capsys.readouterr().err
    before = (page.parent / _sheet("dogs", page)).read_bytes()
    frame.write_bytes(content)
    write()
    assert "shown in grey" not in capsys.readouterr().err
    assert (page.parent / _sheet("dogs", page)).read_bytes() != before


def _sheet(video: str, page: Path) -> str:
    entry = next(entry for entry in page_data(page)["videos"] if entry["name"] == video)
    return entry["files"][1]


@pytest.mark.parametrize("content", [None, "{}", "[]"])
def test_a_run_without_its_record_is_refused_with_what_to_do(write, run, content):
    record = run.path / "run.json"
    record.unlink()
    if content is not None:
        record.write_text(content)
    with pytest.raises(InputError, match=r"no complete record of a run; make it with: mevis-sub"):
        write()


def test_a_sentence_that_nobody_answered_is_refused(write, run):
    run.store.path("right", "dogs", "2").unlink()
    with pytest.raises(InputError, match="no such prediction; run predict"):
        write()


def test_the_page_shows_what_the_server_said(write, run):
    assert "On the server" not in text_of(write())
    record = json.loads((run.path / "run.json").read_text())
    upload = {"server": "https://codabench.example", "competition": 1, "title": "<mevis>",
              "phase": "Validation", "submission": 51, "created": "2026-11-25",
              "zip_sha256": "ab" * 32, "scores": {"J&F": 0.5089}}  # fmt: skip
    (run.path / "run.json").write_text(json.dumps({**record, "uploads": [upload]}))
    text = text_of(write())
    assert "Validation 51</th><td>0.5089</td>" in text
    assert "&lt;mevis&gt;" in text
