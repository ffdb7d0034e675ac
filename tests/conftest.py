"""Every test has a home folder of its own, so that none sees or changes the learner's."""

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import settings

import mini_moe

settings.register_profile("torch", deadline=None, max_examples=40)  # the first call of a torch function takes its time
settings.load_profile("torch")


@pytest.fixture(autouse=True, scope="session")
def shared_home(tmp_path_factory):
    """For fixtures of a wider scope than a test's: they are set up before ``own_home``."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINI_MOE_HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("MINI_MOE_HOME", str(tmp_path / "home"))


@pytest.fixture
def corpus(tmp_path) -> str:
    """Some 60 kB of this project's own sources, in a few files."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    for path in sorted(Path(mini_moe.__file__).parent.glob("*.py")):
        (folder / path.name).write_bytes(path.read_bytes())
    return str(folder)


@pytest.fixture(scope="module")  # not the session's: playwright's event loop would stand in the way of other tests
def chromium():
    """A browser that asks the network for nothing of its own."""
    sync_api = pytest.importorskip("playwright.sync_api")
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        assert "GITHUB_ACTIONS" not in os.environ, "needs Chromium: nothing is published that no browser has read"
        pytest.skip("needs Chromium: apt-get install chromium")
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_api.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=arguments)
        yield browser
        browser.close()
