"""The page of the report, in Chromium: it asks nobody, shows all as text, and can be read by everybody."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page

from ecr_source.errors import visible
from tests.browser import chromium
from tests.report.conftest import reporting, written
from tests.report.registry import HOSTILE
from tests.warehouse import DuckDbFile

WIDE, DESKTOP, TABLET, PHONE = (2560, 1300), (1280, 900), (820, 1180), (390, 844)
A4 = (688, 1000)
"""Between the margins, in the pixels of a page."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def file(loaded_file: DuckDbFile, tmp_path_factory: pytest.TempPathFactory) -> Path:
    page = tmp_path_factory.mktemp("page") / "report.html"
    written(reporting(loaded_file)("--output", str(page)), page)
    return page


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport={"width": DESKTOP[0], "height": DESKTOP[1]})
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext, file: Path) -> Page:
    page = context.new_page()
    page.goto(file.as_uri())
    return page


def test_it_asks_nobody_for_anything_and_has_nothing_to_complain_about(context: BrowserContext, file: Path) -> None:
    page = context.new_page()
    requests: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(file.as_uri())
    page.get_by_role("searchbox").fill("team-a")
    assert (requests, said) == ([file.as_uri()], [])


def test_what_somebody_would_put_into_it_is_not_run(page: Page) -> None:
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.evaluate("document.body.append(Object.assign(document.createElement('img'), {src: 'https://owned.example/'}))")
    page.evaluate("document.body.append(Object.assign(document.createElement('script'), {text: 'owned = 1'}))")
    page.wait_for_function("true")
    assert page.evaluate("typeof owned") == "undefined"
    assert [text for text in said if "Content Security Policy" in text]


def test_hostile_names_are_text(page: Page) -> None:
    assert page.title().startswith("Amazon ECR: 123456789012, 2 regions")
    cells = page.locator("#vulnerable-repositories tbody tr td:nth-child(3)")
    names = {" ".join(text.split()) for text in cells.all_inner_texts()}
    assert {" ".join(visible(f"foreign/{name}").split()) for name in HOSTILE} <= names
    assert page.locator("main img, main iframe, main script, main svg [onload]").count() == 0


def test_a_column_is_sorted_by_what_it_is(page: Page) -> None:
    table = page.locator("#storage-by-namespace table")
    sizes = table.locator("tbody td.number:nth-last-child(4)")
    table.get_by_role("button", name="GB at most").click()
    largest = [float(text) for text in sizes.all_inner_texts() if text != "unknown"]
    assert largest == sorted(largest, reverse=True)
    assert len(set(largest)) > 1
    table.get_by_role("button", name="GB at most").click()
    assert [float(text) for text in sizes.all_inner_texts() if text != "unknown"] == largest[::-1]
    assert table.locator("th[aria-sort=ascending]").inner_text().startswith("GB at most")


def test_rows_are_filtered_by_whom_they_are_of(page: Page) -> None:
    page.get_by_role("combobox", name="namespace").select_option("team-a")
    names = page.locator("#failing-controls tbody tr:visible td:nth-child(4)").all_inner_texts()
    assert {name for name in names if "/" in name} == {"team-a/api", "team-a/web"}
    assert "rows fit the filters" in page.locator("#failing-controls .shown-rows").inner_text()
    page.get_by_role("combobox", name="region").select_option("us-east-1")
    assert page.locator("#vulnerable-repositories tbody tr:visible").count() == 0
    page.get_by_role("combobox", name="namespace").select_option("")
    page.get_by_role("combobox", name="region").select_option("")
    page.get_by_role("searchbox").fill("OPENSSL")
    assert page.locator("#packages tbody tr:visible").count() == 1


def test_a_query_is_copied_as_it_is_asked(page: Page) -> None:
    panel = page.locator("#packages")
    panel.get_by_text("The query").click()
    panel.get_by_role("button", name="Copy").click()
    panel.get_by_role("button", name="Copied").wait_for()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == panel.locator("pre").inner_text()
    assert copied.startswith("SELECT package_name")


def test_a_figure_leads_to_what_tells_more_of_it(page: Page) -> None:
    page.get_by_role("link", name="repositories open to the world").click()
    assert page.evaluate("location.hash") == "#public"
    assert page.locator(":target h3").inner_text() == "1 repository is open to the world"


def test_without_scripts_all_is_there_to_read(browser: Browser, file: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(file.as_uri())
    assert page.locator("tbody tr").count() > 50
    assert page.locator("form.filters").is_hidden()
    page.locator("#packages summary").click()
    assert page.locator("#packages pre").is_visible()
    context.close()


@pytest.mark.parametrize("size", [WIDE, DESKTOP, TABLET, PHONE], ids=["wide", "desktop", "tablet", "phone"])
def test_the_page_is_never_wider_than_the_screen(page: Page, size: tuple[int, int]) -> None:
    page.set_viewport_size({"width": size[0], "height": size[1]})
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]


def test_no_table_is_cut_on_paper(page: Page) -> None:
    page.set_viewport_size({"width": A4[0], "height": A4[1]})
    page.emulate_media(media="print")
    cut = page.evaluate(
        "[...document.querySelectorAll('table, svg')].filter(one => one.getBoundingClientRect().right > innerWidth + 1)"
        ".map(one => one.closest('article').id)"
    )
    assert cut == []
    assert page.locator("nav").is_hidden()
    # A head is repeated on each page where it may not break, and has no box of a button in it.
    heads = page.locator("thead").evaluate_all("all => all.map(one => getComputedStyle(one).breakInside)")
    buttons = page.locator("th button").evaluate_all("all => all.map(one => getComputedStyle(one).display)")
    assert ({*heads}, {*buttons}) == ({"avoid"}, {"contents"})


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_keeps_anybody_from_reading_it(browser: Browser, file: Path, scheme: str) -> None:
    context = browser.new_context(color_scheme=scheme)  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(file.as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    found = Axe().run(page).response["violations"]
    assert [(one["id"], [node["target"] for node in one["nodes"]][:3]) for one in found] == []
    context.close()
