"""`lgn-hf card`."""

from __future__ import annotations

from lgn_hf.hub import cards


def test_card(lgn, monkeypatch):
    monkeypatch.setattr(cards, "write_card", lambda folder, repo_id: folder / f"README of {repo_id}")
    assert lgn("card", "built", "--repo_id", "me/model").out == "built/README of me/model\n"
    assert lgn("card", "built").out == "built/README of None\n"
