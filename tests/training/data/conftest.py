"""A cache and a data set per test."""

import datasets
import pytest

from tests.training.data.data_sets import WITH_TEST


@pytest.fixture(autouse=True)
def private_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


@pytest.fixture
def parquet(tmp_path):
    return WITH_TEST["parquet folder"](tmp_path / "set")
