"""The tables of docs/cost.md are those that the model gives now."""

from scripts.benchmark.cost_tables import BEGIN, DOCUMENT, END, tables


def test_the_tables_are_current():
    text = DOCUMENT.read_text(encoding="utf-8")
    kept = text.partition(BEGIN)[2].partition(END)[0]
    assert kept == tables(), "run: python -m scripts.benchmark.cost_tables --write"
