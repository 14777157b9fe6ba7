"""A short search for cyclic actions, for tests of what is done with them."""

import pytest

from lgn_hf.conversion import cyclic_fit


@pytest.fixture
def quick_fit(monkeypatch) -> None:
    for name in ("SEEDS", "KEPT", "ALTERNATIONS"):
        monkeypatch.setattr(cyclic_fit, name, 1)
