"""JupyterLab as ``make lab`` opens it, in a real browser, as a student meets it."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from worksheet import RIGHT_CACHE, WRONG_CACHE, write_worksheet

playwright = pytest.importorskip("playwright.sync_api")
ROOT = Path(__file__).parent.parent
LESSON = "00_headlines.ipynb"
pytestmark = [pytest.mark.browser, pytest.mark.slow]


def write_json(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """``make lab`` in a copy of what it needs, with this environment as the one installed; gives the address."""
    if shutil.which("make") is None:
        pytest.skip("needs make")
    root = tmp_path_factory.mktemp("repository")
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, root)
    for name in ("tools", "lessons"):
        shutil.copytree(ROOT / name, root / name)
    (root / ".venv").mkdir()
    (root / ".venv" / "bin").symlink_to(Path(sys.executable).parent)
    (root / ".venv" / "installed").touch()
    (root / "work").mkdir()
    for state in ("open", "solved"):
        write_worksheet(root / "work" / f"{state}.ipynb", state)

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = tmp_path_factory.mktemp("own")
    folders = {
        "JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data", "JUPYTER_RUNTIME_DIR": "runtime",
        "JUPYTERLAB_SETTINGS_DIR": "settings", "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        "IPYTHONDIR": "ipython", "MINI_MOE_HOME": "home",
    }  # fmt: skip
    environment = os.environ | {name: str(own / folder) for name, folder in folders.items()}
    server = {"ServerApp": {"open_browser": False, "port": port, "ip": "127.0.0.1"}, "IdentityProvider": {"token": ""}}
    write_json(own / "config" / "jupyter_server_config.json", server)
    tracker = own / "settings" / "@jupyterlab" / "notebook-extension" / "tracker.jupyterlab-settings"
    write_json(tracker, {"windowingMode": "none"})  # every cell in the page, wherever it is scrolled
    with (own / "lab.log").open("w") as log:
        command = ["make", "lab"]
        make = subprocess.Popen(
            command, cwd=root, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            for _ in range(240):
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/api").close()
                    break
                except OSError:
                    assert make.poll() is None, (own / "lab.log").read_text()
                    time.sleep(0.25)
            yield f"http://127.0.0.1:{port}/lab/tree"
        finally:
            os.killpg(make.pid, signal.SIGTERM)
            make.wait(30)


@pytest.fixture
def page(chromium):
    page = chromium.new_page(viewport={"width": 1200, "height": 1000})
    page.set_default_timeout(90_000)
    yield page
    page.close()


def open_notebook(page, lab, name):
    page.goto(f"{lab}/{name}?reset")
    page.wait_for_selector(".jp-Notebook .jp-CodeCell")


def cell_with(page, text):
    return page.locator(".jp-CodeCell", has=page.locator(".jp-InputArea-editor", has_text=text)).first


def run_all(page):
    """Run All Cells; "idle" can show before the kernel is there, so try again until output comes."""
    for _ in range(6):
        page.locator(".lm-MenuBar-itemLabel", has_text="Run").first.click()
        page.locator(".lm-Menu-itemLabel", has_text="Run All Cells").first.click()
        try:
            page.wait_for_selector(".jp-OutputArea-output", timeout=15_000)
            break
        except playwright.TimeoutError:
            continue
    cell_with(page, 'verdict(14, "")').locator(".mm").wait_for()


def write_cell(page, cell, source):
    cell.locator(".cm-content").click()
    page.keyboard.press("Control+A")
    page.keyboard.insert_text(source)
    page.keyboard.press("Shift+Enter")


def test_a_student_runs_the_lesson_moves_the_slider_errs_and_passes(page, lab):
    open_notebook(page, lab, LESSON)
    run_all(page)
    assert (
        page.locator(".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.stderr'] .ansi-red-fg").count() == 0
    )
    assert page.locator(".jp-RenderedText[data-mime-type='application/vnd.jupyter.error']").count() == 0
    assert page.locator(".mm-open").count() == 5, "five exercises are open"

    image = cell_with(page, "Explore(").locator(".widget-html-content img")
    before = image.get_attribute("src")
    handle = cell_with(page, "Explore(").locator(".noUi-handle").first
    handle.focus()
    page.keyboard.press("ArrowLeft")
    playwright.expect(image).not_to_have_attribute("src", before, timeout=30_000)
    assert "trillion tokens 5" in image.get_attribute("alt")

    exercise = cell_with(page, "def kv_cache_bytes_per_token")
    check = cell_with(page, "check(kv_cache_bytes_per_token)")
    write_cell(page, exercise, WRONG_CACHE)
    page.keyboard.press("Shift+Enter")
    check.locator(".mm-wrong").wait_for()
    assert "cache of plain multi-head attention" in check.locator(".mm-says").inner_text()
    write_cell(page, exercise, RIGHT_CACHE)
    page.keyboard.press("Shift+Enter")
    check.locator(".mm-passed").wait_for()
    assert "kept in your portfolio" in check.inner_text()


def validate(page, lab, name):
    """What the dialog says after a click on nbgrader's Validate."""
    open_notebook(page, lab, name)
    page.locator(".jp-NotebookPanel-toolbar").get_by_text("Validate", exact=True).click()
    return page.locator(".jp-Dialog").inner_text()


def test_validate_tells_what_is_open_by_the_text_of_the_cards_alone(page, lab):
    told = validate(page, lab, "open.ipynb")
    assert told.count("The following cell failed") == 2 and "Success" not in told
    for name in ("kv_cache_bytes_per_token", "utilization"):
        assert f"○ Not written yet: {name}" in told
    assert "Traceback" not in told and "ExerciseFailed" not in told
    assert page.locator(".jp-Dialog pre").evaluate_all("all => all.every(e => e.scrollWidth <= e.clientWidth)")


def test_validate_praises_what_is_solved(page, lab):
    assert "Success! Your notebook passes all the tests." in validate(page, lab, "solved.ipynb")


def test_a_student_is_asked_nothing_and_can_hand_in_but_not_author(page, lab):
    open_notebook(page, lab, LESSON)
    page.locator(".lm-MenuBar-itemLabel", has_text="Nbgrader").click()
    labels = page.locator(".lm-Menu-itemLabel:visible")
    playwright.expect(labels).to_have_text(["Assignment List"])
    tabs = page.locator(".jp-SideBar .lm-TabBar-tab").evaluate_all("tabs => tabs.map(tab => tab.title)")
    assert "Debugger" in tabs and not [tab for tab in tabs if "Nbgrader" in tab]
    page.wait_for_timeout(5_000)  # time enough for Jupyter's question about news
    assert page.locator(".Toastify__toast").count() == 0
