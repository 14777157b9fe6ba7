"""The tables say what the records say."""

import pytest
from lgn_training.zoo import records, tables

from tests.conftest import ROOT


def test_the_table_has_means_and_ranges_over_seeds():
    row = dict.fromkeys(records.COLUMNS, "")
    row |= {"model": "r90-mnist", "dataset": "mnist", "task": "classification", "whitening": "zca", "epochs": "30"}
    row |= {"mixed_precision": "bf16", "parameters": "9370", "parameters_of_free_filters": "17050"}
    rows = [{**row, "seed": str(seed), "test_accuracy": str(value)} for seed, value in enumerate((0.99, 0.98))]
    last = tables.render(rows).splitlines()[-1]
    assert (
        last
        == "| mnist | `r90-mnist` | zca | bfloat16 | 30 | 2 | 9,370 | 17,050 | 98.50 % (98.00 to 99.00) | 99.12 % |"
    )


def test_the_headlines_are_of_the_longest_trainings():
    row = dict.fromkeys(records.COLUMNS, "")
    row |= {"dataset": "mnist", "task": "classification", "whitening": "zca"}
    rows = [
        {**row, "model": model, "epochs": epochs, "seed": seed, "test_accuracy": accuracy}
        for model, epochs, seed, accuracy in (
            ("lgn-mnist", "12", "0", "0.5"),
            ("lgn-mnist", "100", "0", "0.97"),
            ("lgn-mnist", "100", "1", "0.98"),
            ("r90-rotmnist", "30", "0", "0.9"),
            ("other-mnist", "30", "0", "0.9"),
        )
    ]
    # lgn-mnist's folder is of a shorter training
    published = {"r90-rotmnist": tables.key_of(rows[3]), "lgn-mnist": tables.key_of(rows[0])}
    assert tables.headlines(rows, published).splitlines()[2:] == [
        "| LGN: learned actions | 97.50 % (2 seeds, 100 epochs) |  |  |",
        "| rotations by multiples of 90 degrees |  | [90.00 %](model_cards/r90-rotmnist/README.md) (30 epochs; paper 86.62 %) |  |",
        "| P4CNN (others), over C₄ |  | 97.72 % |  |",
        "| Z2CNN (others), free filters |  | 94.97 % |  |",
        "| the papers' best | 99.21 % | 86.62 % | 73.14 % |",
    ]


def test_of_runs_that_are_as_long_the_published_one_is_a_headline():
    row = dict.fromkeys(records.COLUMNS, "") | {"dataset": "mnist", "task": "classification", "epochs": "30"}
    rows = [
        {**row, "model": "lgn-mnist", "whitening": whitening, "seed": seed, "test_accuracy": accuracy}
        for whitening, seed, accuracy in (("zca", "0", "0.97"), ("zca", "1", "0.98"), ("patch", "0", "0.99"))
    ]
    published = {"lgn-mnist": tables.key_of(rows[2])}
    assert "[99.00 %](model_cards/lgn-mnist/README.md) (30 epochs)" in tables.headlines(rows, published)
    assert "97.50 % (2 seeds, 30 epochs)" in tables.headlines(rows)
    others = {"cyclic-mnist": published["lgn-mnist"]}  # what is published has this whitening
    assert "| 99.00 % (30 epochs)" in tables.headlines(rows, others)


@pytest.mark.parametrize("name", tables.PAGES)
def test_the_pages_have_the_records_of_model_cards(name):
    """Else: `python training/records.py`."""
    cards = ROOT / "model_cards"
    page = (cards / name).read_text()
    rows, published = records.read(cards / records.RECORDS), tables.find_published(cards)
    for title, table in tables.PAGES[name].items():
        assert page == tables.insert(page, title, table(rows, published))


def test_a_page_without_marks_is_refused():
    with pytest.raises(ValueError, match="the page lacks"):
        tables.insert("# page", "results", "| table |")


def test_tables_of_one_page_are_told_apart_by_their_names():
    page = "<!-- a: python training/records.py -->\nold\n<!-- /a -->\n<!-- b: python training/records.py -->\nkept\n<!-- /b -->\n"
    assert tables.insert(page, "a", "new\n") == page.replace("old", "new")
