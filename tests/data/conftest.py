"""The tests of data name the folder that they mean."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def no_data_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away the folder that the environment names."""
    monkeypatch.delenv("MRVAE_DATA", raising=False)
