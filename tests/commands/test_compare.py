"""`lgn-hf compare`."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from lgn_hf import LGNForImageClassification
from lgn_hf.actions import compare
from tests.commands.conftest import check_error
from tests.support.networks import make_used_model


def load(folder: Path) -> LGNForImageClassification:
    return cast(LGNForImageClassification, LGNForImageClassification.from_pretrained(folder))


class TestCompare:
    def test_prints_distances_chance_and_pairs(self, lgn, models):
        result = lgn("compare", models / "classifier", models / "other", "--top", 2)
        assert result.code == 0, result.error
        cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in result.out.splitlines() if "│" in line]
        a, b = (load(models / name).actions() for name in ("classifier", "other"))
        expected = compare(a, b)
        assert [row[0] for row in cells] == [
            "all", "layer 0", "layer 1", "layer 2", *(pair.a for pair in expected.pairs[:2])
        ]  # fmt: skip
        assert cells[0][1] == f"{expected.whole.value:.3f}"
        assert cells[0][2] == f"{expected.whole.chance:.3f} ± {expected.whole.deviation:.3f}"
        assert cells[-2] == [expected.pairs[0].a, expected.pairs[0].b, f"{expected.pairs[0].cosine:+.2f}"]

    def test_says_what_cannot_be_compared(self, lgn, models, tmp_path):
        make_used_model("even-filter").actions().save(tmp_path / "even")
        check_error(lgn("compare", models / "classifier", tmp_path / "even"), "3 x 3 filters", "4 x 4")
