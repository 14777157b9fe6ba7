"""The actions of several models are diagnosed and compared."""

import json

import pytest

from tests.training.experiments.quick_runs import folder_of_model, run


@pytest.mark.slow
def test_structures_of_several_models(tmp_path):
    folders = [
        folder_of_model(tmp_path / name, num_layers=1, group_order=2, filter_size=3) for name in ("a", "b", "c")
    ]
    for folder, dataset in zip(folders, ("mnist", "mnist", "digits"), strict=True):
        (tmp_path / folder / "all_results.json").write_text(
            json.dumps({"recipe": {"dataset": dataset, "task": "classification"}})
        )
    result = run(tmp_path, "structures", "--source", *folders)
    assert [row["model"] for row in result["rows"]] == ["a", "b", "c"]
    assert [len(records) for records in result["actions"].values()] == [2, 2, 2]
    rows = [row for rows in result["actions"].values() for row in rows]
    assert result["by task"]["classification"]["actions"] == 6
    assert result["by task"]["classification"]["beyond chance"]["toeplitz"] == sum(
        r["z"]["toeplitz"] > 5 for r in rows
    )
    assert result["by task"].keys() == {"classification"}
    assert all(0.5 < pair["distance"] < 0.8 for pair in result["distances"])  # unrelated: 0.71
    assert len(result["distances"]) == 3
    assert 0 < result["permutation test"]["p_value"] <= 1
    assert set(result["data"]["fingerprint"]) == {"a", "b", "c"}
    assert all((tmp_path / "out" / name).stat().st_size > 0 for name in result["figures"])
    assert {"structures.png", "a-gallery.png", "a-spectra.png", "a-effects.png", "a-orbits.png"} <= set(
        result["figures"]
    )
