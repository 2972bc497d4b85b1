"""score.json and score.csv: what they hold, and that they can be read back."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from score.conftest import Arrays

from submission.errors import InputError
from submission.score.score_file import read_scores, write_scores
from submission.score.scoring import score
from submission.score.table import fault_lines, score_lines, worst_lines


@pytest.fixture
def results(split, truth, perfect):
    """The vote is right; one expert left a sentence out and lacks a frame of another."""
    part = {key: masks.copy() for key, masks in perfect.items()}
    del part["walks", "0"]
    part["walks", "1"] = [*part["walks", "1"][:3], None]
    return score(split, truth, [Arrays(part, "half"), Arrays(perfect, "vote")])


def test_score_json_carries_every_sentence_the_conventions_and_what_is_missing(
    split, results, tmp_path
):
    write_scores(tmp_path / "score.json", split, results)
    content = json.loads((tmp_path / "score.json").read_text())
    assert list(content["results"]) == ["half", "vote"]
    assert content["split"] == "valid_u"
    assert content["results"]["vote"]["expressions"]["walks/1"] == {"J": 1.0, "F": 1.0}
    assert content["results"]["vote"]["videos"]["walks"] == {"J": 1.0, "F": 1.0, "J&F": 1.0}
    assert content["results"]["half"]["J"] == pytest.approx((0 + 0.75 + 1) / 3)
    assert content["missing"] == [
        {"result": "half", "where": "walks/0", "what": "the sentence is missing"},
        {"result": "half", "where": "walks/1/00003", "what": "the frame is missing"},
    ]
    assert "first and last included" in content["conventions"]["mean"]
    assert "official" not in content


def test_the_csv_has_a_row_for_each_sentence_of_each_result(split, results, tmp_path):
    odd = 'says "a, b"'
    walks = split.videos[0]
    first = replace(walks.expressions[0], sentence=odd)
    walks = replace(walks, expressions=(first, *walks.expressions[1:]))
    changed = replace(split, videos=(walks, split.videos[1]))
    write_scores(tmp_path / "score.json", changed, results)
    with (tmp_path / "score.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6
    assert (rows[0]["result"], rows[0]["sentence"], rows[0]["faults"]) == ("half", odd, "1")
    assert float(rows[1]["J"]) == 0.75
    assert [row["has_target"] for row in rows[3:]] == ["1", "1", "0"]


def test_what_was_written_is_read_back(split, results, tmp_path):
    written = write_scores(tmp_path / "score.json", split, results, official=True)
    assert read_scores(tmp_path / "score.json") == written
    assert written.sentences["rests/0"] == "the flying one"


def test_official_means_leave_sentences_out_and_say_how_much_that_flatters(
    split, results, tmp_path
):
    scores = write_scores(tmp_path / "score.json", split, results, official=True)
    assert scores.results["half"].means["J&F"] == 1.0
    assert list(scores.results["half"].expressions) == ["rests/0"]
    flattery = scores.flattery["half"]
    assert flattery.left_out == ("walks/0", "walks/1")
    assert flattery.strict == pytest.approx(1.75 / 3)
    assert scores.flattery["vote"].left_out == ()
    text = "\n".join(score_lines(scores))
    assert "half: as the official script counts it, 2 sentences left out" in text
    assert "flatters by +41.67 points" in text
    assert "vote: as the official script counts it; it leaves no sentence out here" in text
    conventions = json.loads((tmp_path / "score.json").read_text())["conventions"]
    assert "left out" in conventions["missing"]


def test_the_table_shows_results_side_by_side_v2_numbers_and_the_gain(split, results, tmp_path):
    lines = score_lines(write_scores(tmp_path / "score.json", split, results))
    assert lines[0].split()[:4] == ["percent", "J", "F", "J&F"]
    assert lines[0].split()[-3:] == ["N-acc", "T-acc", "Final"]
    assert "J&F (targets)" in lines[0]
    assert lines[1].split()[:2] == ["half", "58.33"]
    assert lines[2].split()[:2] == ["vote", "100.00"]
    assert any("Final: mean of J&F" in line for line in lines)
    assert lines[-1] == "gain of the vote over the best single expert (half): +41.67 points of J&F"


def test_the_worst_sentences_come_first_and_cannot_steer_a_terminal(
    split, truth, perfect, tmp_path
):
    walks = split.videos[0]
    nasty = replace(walks.expressions[1], sentence="\x1b[31mred")
    split = replace(split, videos=(replace(walks, expressions=(walks.expressions[0], nasty)),))
    perfect["walks", "1"] = np.zeros((4, 8, 10), bool)
    scores = write_scores(
        tmp_path / "s.json", split, score(split, truth, [Arrays(perfect, "mine")])
    )
    lines = worst_lines(scores, count=1)
    assert lines[1] == "worst 1 sentence of mine:"
    assert lines[-1].split() == ["0.00", "0.00", "0.00", "walks/1", "?[31mred"]


def test_faults_are_named_for_the_result_that_has_them(split, results, tmp_path):
    scores = write_scores(tmp_path / "score.json", split, results)
    assert fault_lines(scores, "vote") == []
    assert fault_lines(scores, "half")[0] == "half: 2 things are missing or damaged, and counted 0:"
    assert len(fault_lines(scores, "half")) == 3


def test_a_file_that_is_no_score_is_refused(tmp_path):
    (tmp_path / "score.json").write_text('{"results": 3}')
    with pytest.raises(InputError, match=r"score\.json: not a score\.json"):
        read_scores(tmp_path / "score.json")
    with pytest.raises(InputError, match="no such score"):
        read_scores(tmp_path / "other.json")


def test_the_result_that_is_meant_is_the_vote_or_the_only_one(split, results, tmp_path):
    both = write_scores(tmp_path / "both.json", split, results)
    one = write_scores(tmp_path / "one.json", split, {"half": results["half"]})
    assert (both.choose(), both.choose("half"), one.choose()) == ("vote", "half", "half")
    with pytest.raises(InputError, match="choose one of these with --result: half, vote"):
        both.choose("third")
