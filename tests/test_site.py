"""The published book: built, then read in a browser that reaches nothing but the book."""

import functools
import http.server
import re
import subprocess
import sys
import threading
import zipfile
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag

import pytest
import yaml

from mini_moe.course import exercises
from mini_moe.course.publish import book

pytestmark = [pytest.mark.browser, pytest.mark.slow]

ROOT = Path(__file__).parent.parent
TOC = yaml.safe_load((ROOT / "book" / "_toc.yml").read_text(encoding="utf-8"))
PAGES = [TOC["root"], *(chapter["file"] for part in TOC["parts"] for chapter in part["chapters"])]
LESSONS = [page for page in PAGES if page.startswith("solutions/")]
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}


@pytest.fixture(scope="module")
def site():
    """The folder of the built book. Only what has changed is executed, so after `make book` this takes seconds."""
    built = build()
    assert built.returncode == 0, built.stdout[-4000:]
    return ROOT / "book" / "_build" / "html"


@pytest.fixture(scope="module")
def unpacked(site, tmp_path_factory):
    """The folder that the download unpacks to."""
    folder = tmp_path_factory.mktemp("download")
    with zipfile.ZipFile(site / book.DOWNLOAD) as packed:
        packed.extractall(folder)
    return folder / "mini-moe-book"


def build():
    command = [sys.executable, "-m", "mini_moe.course.publish.book"]
    return subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8")


class Elements(HTMLParser):
    """The start tags of a page, as (tag, attributes)."""

    def __init__(self, page):
        super().__init__()
        self.found = []
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))


def links_of(page):
    """(address, is it followed by a click) of all that a page names."""
    for tag, attributes in Elements(page).found:
        for name in ("href", "src"):
            if attributes.get(name):
                yield attributes[name], tag == "a"


def pages_of(site):
    """Every page; what lies in _static are the theme's templates."""
    return [page for page in site.rglob("*.html") if "_static" not in page.parts]


def is_elsewhere(address):
    return re.match(r"[a-z]+:|//", address) is not None


def test_every_master_is_in_the_table_of_contents():
    assert {f"solutions/{path.stem}" for path in (ROOT / "solutions").glob("*.ipynb")} == set(LESSONS)


# ---- the pages as files


def test_a_second_build_executes_nothing(site):
    again = build()
    assert again.returncode == 0
    assert "Executing notebook" not in again.stdout


def dead_links(site):
    ids = functools.cache(lambda page: {a["id"] for _, a in Elements(page).found if a.get("id")})
    for page in pages_of(site):
        for address, _ in links_of(page):
            if is_elsewhere(address):
                continue
            file, fragment = urldefrag(address)
            target = (page.parent / unquote(file.split("?")[0])).resolve() if file else page
            if not target.is_file() or (fragment and target.suffix == ".html" and unquote(fragment) not in ids(target)):
                yield f"{page.relative_to(site)}: {address}"


def test_every_internal_link_leads_somewhere(site):
    assert not list(dead_links(site))


def test_every_internal_link_of_the_download_leads_somewhere(unpacked):
    assert not list(dead_links(unpacked))


def test_every_page_is_two_clicks_from_the_front_page(site):
    front = (site / f"{TOC['root']}.html").resolve()
    reached = {front}
    for _ in range(2):
        for page in list(reached):
            near = (
                page.parent / unquote(urldefrag(a).url) for a, click in links_of(page) if click and not is_elsewhere(a)
            )
            reached |= {path.resolve() for path in near if path.is_file() and path.suffix == ".html"}
    assert {(site / f"{page}.html").resolve() for page in PAGES} <= reached


def test_no_page_weighs_more_than_three_megabytes(site):
    for page in pages_of(site):
        own = {page.resolve()}
        own |= {(page.parent / a).resolve() for a, click in links_of(page) if not click and "_images/" in a}
        assert sum(path.stat().st_size for path in own) < 3e6, page


def test_no_page_loads_anything_from_elsewhere(site):
    for page in pages_of(site):
        assert not [address for address, click in links_of(page) if not click and is_elsewhere(address)
                    and not address.startswith("data:")], page  # fmt: skip


def test_every_image_is_described(site):
    for page in pages_of(site):
        for tag, attributes in Elements(page).found:
            if tag == "img" and "logo__image" not in attributes.get("class", ""):  # its words stand beside it
                assert attributes["alt"] and not attributes["alt"].endswith((".png", ".svg")), page


def test_every_figure_is_an_image_that_the_style_sheet_knows_and_that_is_told_at_length(site):
    for page in LESSONS:
        images = [a for tag, a in Elements(site / f"{page}.html").found if tag == "img"]
        figures = [a for a in images if a["src"].startswith("data:image/svg+xml")]
        assert len(figures) >= 2
        assert all(a["class"] == "mm-figure" and len(a["alt"]) > 60 for a in figures)
        assert not [a["src"] for a in images if "_images" in a["src"]]


def test_every_check_in_the_book_has_passed(site):
    for page in LESSONS:
        text = (ROOT / f"{page}.ipynb").read_text(encoding="utf-8")
        classes = [a.get("class", "").split() for tag, a in Elements(site / f"{page}.html").found if tag == "section"]
        checked = len(re.findall(r"= check\(\w+\)", text))
        assert checked >= 3
        assert sum("mm-passed" in names for names in classes) == checked
        assert not any({"mm-wrong", "mm-open"} & set(names) for names in classes)


def test_launch_buttons_lead_to_the_lesson_not_to_its_master(site):
    for page in PAGES:
        launched = [address for address, click in links_of(site / f"{page}.html")
                    if click and ("mybinder.org" in address or "colab.research" in address)]  # fmt: skip
        assert len(launched) == (2 if page in LESSONS else 0)
        for address in launched:
            assert page.replace("solutions/", "lessons/") + ".ipynb" in address


# ---- the pages in a browser


@pytest.fixture(scope="module")
def address(site):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=site))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


class Watched:
    """A page of the browser, all that it asked for, and all that it complained of."""

    def __init__(self, browser, home, **options):
        self.context = browser.new_context(**options)
        self.page = self.context.new_page()
        self.complaints = []
        self.page.on("console", lambda said: self._complain(said.text, said.type in ("error", "warning")))
        self.page.on("pageerror", lambda error: self._complain(str(error)))
        self.page.on("requestfailed", lambda request: self._complain(f"failed: {request.url}"))
        self.page.on(
            "response", lambda response: self._complain(f"{response.status}: {response.url}", response.status >= 400)
        )
        # The network is blocked: what is not the book's own is refused, and told.
        self.page.route(
            lambda url: not url.startswith((home, "data:")),
            lambda route: (self._complain(f"asked for {route.request.url}"), route.abort()),
        )

    def _complain(self, what, really=True):
        if really:
            self.complaints.append(what)

    def open(self, url):
        self.page.goto(url)
        self.page.wait_for_load_state("networkidle")
        return self.page


@pytest.fixture
def watched(chromium, address):
    """Makes watched pages; they are closed, and must have had nothing to complain of, when the test is over."""
    made = []

    def make(home=address, **options):
        made.append(Watched(chromium, home, **options))
        return made[-1]

    yield make
    complaints = [complaint for one in made for complaint in one.complaints]
    for one in made:
        one.context.close()
    assert not complaints


@pytest.mark.parametrize("name", [*PAGES, "search", "genindex"])
def test_a_page_loads_alone_and_fits_a_phone(watched, address, name):
    page = watched(viewport=PHONE).open(f"{address}/{name}.html")
    assert page.locator("h1:visible").count() == 1
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    formulas = page.locator(".math").count()
    assert formulas == page.locator(".math mjx-container svg").count(), "formulas are typeset"
    master = ROOT / f"{name}.ipynb"
    assert formulas or not (master.exists() and "$$" in master.read_text(encoding="utf-8"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", [*PAGES, "search"])
def test_axe_finds_no_serious_fault(watched, address, name, scheme):
    page = watched(viewport=DESK, color_scheme=scheme).open(f"{address}/{name}.html")
    assert page.evaluate("document.documentElement.dataset.theme") == scheme
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    found = axe.Axe().run(page, options={"preload": False}).response["violations"]
    serious = [
        f"{fault['id']}: {node['target']} {node['html'][:200]} {node['failureSummary'][:300]}"
        for fault in found if fault["impact"] in ("serious", "critical") for node in fault["nodes"]
    ]  # fmt: skip
    assert not serious, "\n".join(serious)


def shown_by(explorer):
    """What is to be seen: the picture, not its description, which names the slider's value too; else the words."""
    view = explorer.locator(".mm-view")
    return view.locator("img").first.get_attribute("src") if view.locator("img").count() else view.inner_text()


@pytest.mark.parametrize("name", [TOC["root"], *LESSONS])
def test_every_slider_changes_its_figure(watched, address, name):
    page = watched(viewport=PHONE).open(f"{address}/{name}.html")
    explorers = page.locator("section.mm:has(.mm-view)")
    source = next(ROOT.glob(f"{name}.*")).read_text(encoding="utf-8")
    assert explorers.count() == len(re.findall(r"\bExplore\(", source)) >= 1
    for explorer in explorers.all():
        assert "computed when the book was built" in explorer.inner_text()
        sliders = explorer.locator("input[type=range]")
        assert sliders.count() >= 1
        for slider in sliders.all():
            before, told = shown_by(explorer), slider.get_attribute("aria-valuetext")
            box = explorer.locator(".mm-view > *").first
            box.evaluate("box => { box.scrollLeft = 40; }")
            moved = box.evaluate("box => box.scrollLeft")
            slider.focus()
            page.keyboard.press("ArrowLeft" if slider.input_value() == slider.get_attribute("max") else "ArrowRight")
            assert shown_by(explorer) != before
            assert slider.get_attribute("aria-valuetext") != told
            assert box.evaluate("box => box.scrollLeft") == moved, "a wide figure stays where it was moved to"


@pytest.mark.parametrize("name", LESSONS)
def test_a_quiz_answers_and_an_exercise_unfolds(watched, address, name):
    page = watched(viewport=DESK).open(f"{address}/{name}.html")
    source = (ROOT / f"{name}.ipynb").read_text(encoding="utf-8")
    asked = [exercises.quiz(quiz) for quiz in re.findall(r'"quiz\(\\"([\w-]+)', source)]
    taught = re.findall(r"= check\((\w+)\)", source)
    options = page.locator(".mm-option")
    assert options.count() == sum(len(quiz.options) for quiz in asked) > 2
    for option in options.all():
        says = option.locator(".mm-reveal")
        assert not says.is_visible()
        option.locator("input").check()
        assert says.is_visible()
    assert page.locator("details.mm-fold").count() == 3 * len(taught)
    assert page.locator("details:has-text('Show the solution')").count() == len(taught) >= 3
    for fold in page.locator("details.mm-fold, details.hide").all():
        assert not fold.evaluate("fold => fold.open")
        fold.locator("summary").press("Enter")
        assert fold.evaluate("fold => fold.open")


def test_who_goes_by_keyboard_sees_where_they_are(watched, address):
    page = watched(viewport=DESK).open(f"{address}/{LESSONS[0]}.html")
    unseen = []
    for _ in range(40):
        page.keyboard.press("Tab")
        seen = page.evaluate(
            "(() => { const s = getComputedStyle(document.activeElement);"
            " return s.outlineStyle !== 'none' || s.boxShadow !== 'none'; })()"
        )
        if not seen:
            unseen.append(page.evaluate("document.activeElement.outerHTML.slice(0, 200)"))
    assert not unseen


def test_search_finds_router(watched, address):
    page = watched(viewport=DESK).open(f"{address}/search.html?q=router")
    page.wait_for_selector("ul.search li a")
    found = [link.inner_text() for link in page.locator("ul.search li a").all()]
    assert any("Mixture of experts" in title for title in found)
    page.locator("ul.search li a", has_text="Mixture of experts").first.click()
    page.wait_for_load_state("networkidle")
    assert "03_mixture_of_experts" in page.url


def test_the_download_works_from_a_file(watched, unpacked):
    home = unpacked.as_uri()
    page = watched(home=home, viewport=PHONE).open(f"{home}/index.html")
    page.wait_for_url(f"{home}/{TOC['root']}.html")
    page.goto(f"{home}/{LESSONS[3]}.html")
    page.wait_for_selector(".math mjx-container svg")
    explorer = page.locator("section.mm:has(.mm-view)").first
    before = shown_by(explorer)
    explorer.locator("input").first.focus()
    page.keyboard.press("ArrowRight")
    assert shown_by(explorer) != before
    page.goto(f"{home}/search.html?q=router")
    page.wait_for_selector("ul.search li a")
    page.wait_for_load_state("networkidle")
