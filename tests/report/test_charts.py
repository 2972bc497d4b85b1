"""The numbers behind charts, tables and the record line."""

import pytest

from submission.report.charts import histogram, mean_matrix, record_line

RECORD = {
    "recipe": {
        "name": "mine",
        "experts": [
            {"name": "sa2va", "checkpoint": "/weights/Sa2VA-26B"},
            {"name": "cutie", "masks": "/data/cutie.zip"},
            {"name": "lost", "checkpoint": "Sa2VA-8B"},
            {"name": "seed", "kind": "uninext-cutie"},
            {"name": "edges", "kind": "edges"},
        ],
    },
    "experts": {
        "sa2va": {"files": {"a.safetensors": "1" * 64, "config.json": "2" * 64}},
        "cutie": {"masks": "3" * 64},
        "lost": None,
        "seed": {"files": {role: role[0] * 64 for role in ("cutie", "uninext", "vocabulary")}},
        "edges": {"settings": {"steepness": 30}},
    },
    "code": {"version": "1.2", "revision": "abcdef0123456789-dirty"},
    "hardware": {"cpu": "Some CPU", "cores": 8, "gpus": ["Some GPU"]},
    "seconds": {"predict": 4000.4, "vote": 130.2, "pack": 0.04},
}


def test_a_histogram_counts_both_ends():
    bars = histogram([0.0, 0.049, 0.05, 1.0])
    assert [bar.height for bar in bars] == [1.0, 0.5] + [0.0] * 17 + [0.5]
    assert bars[0].label == "0 to 5: 2 sentences"
    assert bars[-1].label == "95 to 100: 1 sentence"


def test_the_matrix_is_the_mean_over_the_sentences_that_both_answered():
    matrix = mean_matrix(3, [([0, 1], [0.5]), ([0, 1, 2], [1.0, 0.2, 0.4])])
    assert matrix == [[1.0, 0.75, 0.2], [0.75, 1.0, 0.4], [0.2, 0.4, 1.0]]
    assert mean_matrix(2, [([0], [])]) == [[1.0, None], [None, 1.0]]


def test_the_record_line_names_all_that_made_the_run():
    facts = {fact.name: fact for fact in record_line(RECORD)}
    assert facts["recipe"].value == "mine"
    assert facts["expert sa2va"].value.startswith("Sa2VA-26B, 2 files, sha256 ")
    assert facts["expert sa2va"].more == f"a.safetensors  {'1' * 64}\nconfig.json  {'2' * 64}"
    assert facts["expert cutie"].value == "cutie.zip, sha256 333333333333"
    assert facts["expert lost"].value == "Sa2VA-8B, sha256 unknown"
    assert facts["expert seed"].value.startswith("uninext-cutie, 3 files, sha256 ")
    assert facts["expert edges"].value == "edges"  # opens no file
    assert facts["code"].value == "1.2, abcdef012345 (changed)"
    assert facts["hardware"].value == "Some GPU, Some CPU, 8 cores"
    assert facts["time"].value == "predict 1 h 6 min, vote 2 min 10 s"


def test_the_record_line_names_every_machine_that_predicted_and_how_long_it_waited():
    calls = [
        {"seconds": {"predict": 9.0}, "hardware": {"cpu": "A", "cores": 2, "gpus": ["Some GPU"]}},
        {"seconds": {"predict": 9.0}, "hardware": {"cpu": "B", "cores": 4}},
        {"seconds": {"predict": 0.01, "vote": 2.0}, "hardware": {"cpu": "C", "cores": 8}},
    ]
    seconds = {"predict": 18.0, "predict, waiting for frames": 1.5, "vote": 2.0}
    facts = {f.name: f for f in record_line({**RECORD, "calls": calls, "seconds": seconds})}
    assert facts["hardware"].value == "Some GPU, A, 2 cores; B, 4 cores"
    assert facts["time"].value == "predict 18.0 s (waiting 1.5 s), vote 2.0 s"


@pytest.mark.parametrize("file", ["a.safetensors", "config.json"])
def test_the_hash_of_several_files_is_of_each_of_them(file):
    changed = {**RECORD["experts"]["sa2va"]["files"], file: "4" * 64}
    other = record_line({**RECORD, "experts": {"sa2va": {"files": changed}}})
    assert other[1].value != record_line(RECORD)[1].value
