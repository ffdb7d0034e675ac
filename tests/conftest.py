"""Every test has a home folder of its own, so that none sees or changes the learner's."""

import pytest


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("MINI_MOE_HOME", str(tmp_path / "home"))
