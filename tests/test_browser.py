"""Lesson 00 in JupyterLab, in a real browser, as a student meets it."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

playwright = pytest.importorskip("playwright.sync_api")
LESSON = Path(__file__).parent.parent / "lessons" / "00_headlines.ipynb"
pytestmark = [pytest.mark.browser, pytest.mark.slow]

WRONG = """def kv_cache_bytes_per_token(config: ModelConfig, bytes_per_element: int = 2) -> int:
    heads = config.num_attention_heads
    return config.num_hidden_layers * heads * (config.qk_head_dim + config.v_head_dim) * bytes_per_element
"""
RIGHT = """def kv_cache_bytes_per_token(config: ModelConfig, bytes_per_element: int = 2) -> int:
    numbers = config.kv_lora_rank + config.qk_rope_head_dim
    return numbers * bytes_per_element * config.num_hidden_layers
"""


@pytest.fixture
def lab(tmp_path):
    """JupyterLab over a copy of the lesson, with folders of its own; gives the address."""
    work = tmp_path / "work"
    work.mkdir()
    shutil.copy(LESSON, work)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    tracker = tmp_path / "settings" / "@jupyterlab" / "notebook-extension" / "tracker.jupyterlab-settings"
    tracker.parent.mkdir(parents=True)
    tracker.write_text('{"windowingMode": "none"}')  # every cell in the page, wherever it is scrolled
    folders = {
        "JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data", "JUPYTER_RUNTIME_DIR": "runtime",
        "JUPYTERLAB_SETTINGS_DIR": "settings", "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        "IPYTHONDIR": "ipython", "MINI_MOE_HOME": "home",
    }  # fmt: skip
    environment = os.environ | {name: str(tmp_path / folder) for name, folder in folders.items()}
    command = [
        sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}",
        "--IdentityProvider.token=", f"--ServerApp.root_dir={work}",
    ]  # fmt: skip
    with (tmp_path / "lab.log").open("w") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
        try:
            for _ in range(240):
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/api").close()
                    break
                except OSError:
                    time.sleep(0.25)
            yield f"http://127.0.0.1:{port}/lab/tree/{LESSON.name}?reset"
        finally:
            server.terminate()
            server.wait(30)


@pytest.fixture
def page(chromium, lab):
    page = chromium.new_page(viewport={"width": 1200, "height": 1000})
    page.set_default_timeout(90_000)
    page.goto(lab)
    page.wait_for_selector(".jp-Notebook .jp-CodeCell")
    yield page
    page.close()


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


def test_a_student_runs_the_lesson_moves_the_slider_errs_and_passes(page):
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
    write_cell(page, exercise, WRONG)
    page.keyboard.press("Shift+Enter")
    check.locator(".mm-wrong").wait_for()
    assert "cache of plain multi-head attention" in check.locator(".mm-says").inner_text()
    write_cell(page, exercise, RIGHT)
    page.keyboard.press("Shift+Enter")
    check.locator(".mm-passed").wait_for()
    assert "kept in your portfolio" in check.inner_text()
