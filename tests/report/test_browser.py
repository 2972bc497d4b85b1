"""The report in a real browser: it opens, shows what it should, and follows mouse and keys."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.support.ui import WebDriverWait
from tiny_split import HEIGHT, WIDTH, square
from waiting import LIMIT

from scripts.pictures.report import (
    NEEDS,
    find_browser,
    open_browser,
    open_report,
    resize,
    set_scheme,
    wait_for_sentence,
)

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def window() -> Iterator[WebDriver]:
    """Give one browser to all tests; each opens its own report in it."""
    if find_browser() is None:
        pytest.skip(NEEDS)
    with open_browser(1440, 2000) as driver:
        yield driver


@pytest.fixture
def page(window, write, score) -> Path:
    """Write the report of the tiny run, with a score, and open it."""
    page = write()
    window.get_log("browser")  # what earlier tests said
    open_report(window, page)
    return page


def rows(window: WebDriver) -> list[str]:
    return [row.text for row in window.find_elements(By.CSS_SELECTOR, "#sentences .text")]


def press(window: WebDriver, *keys: str) -> None:
    """Type with the focus where it is."""
    window.switch_to.active_element.send_keys(*keys)


def time_of(window: WebDriver) -> int:
    return window.execute_script("return viewer.time")


def picture(window: WebDriver) -> bytes:
    return window.find_element(By.ID, "stage").screenshot_as_png


def choose(window: WebDriver, list_id: str, name: str) -> None:
    window.find_element(By.XPATH, f"//select[@id='{list_id}']/option[.='{name}']").click()


def test_the_page_opens_without_a_word_on_the_console(window, page):
    assert window.title == "tiny <recipe> on MeViS valid_u"
    assert len(rows(window)) == 4
    assert window.get_log("browser") == []


def test_a_sentence_with_a_script_in_it_is_text(window, page, hostile_split):
    hostile = next(e for video in hostile_split.videos for e in video.expressions if e.id == "10")
    open_report(window, page, "dogs/10")
    assert window.title == "tiny <recipe> on MeViS valid_u"
    shown = window.execute_script("return document.getElementById('sentence').textContent")
    assert shown == hostile.sentence
    assert "<script>document.title = 'owned'</script>" in " ".join(rows(window))
    answers = window.find_element(By.ID, "answers")
    assert "<i>left</i> [SEG]" in answers.text
    assert answers.find_elements(By.TAG_NAME, "script") == []


def test_search_narrows_and_finds_words_in_any_order(window, page):
    search = window.find_element(By.ID, "search")
    search.send_keys("DOGS both")
    assert rows(window) == ["both dogs"]
    assert window.find_element(By.ID, "count").text == "1 of 4 sentences"
    search.send_keys(" nothing has this")
    assert rows(window) == []


def test_sorting_and_showing_only_empty_ones(window, page):
    worst_first = rows(window)
    assert len(worst_first) == 4
    assert window.execute_script("return list.shown.map(e => e.order)") == [0, 1, 2, 3]
    choose(window, "sort", "Best first")
    assert rows(window) == worst_first[::-1]
    choose(window, "sort", "Disagreement first")
    assert rows(window)[-1] == "the cat"
    window.find_element(By.ID, "show-empty").click()
    assert rows(window) == ["the cat"]


def test_a_click_opens_a_sentence_and_keeps_its_address(window, page):
    window.find_element(By.XPATH, "//span[.='the cup on the left']").click()
    wait_for_sentence(window)
    assert window.find_element(By.ID, "sentence").text == "the cup on the left"
    assert window.find_element(By.ID, "where").text == "cups · 0"
    assert window.current_url.endswith("#cups/0")
    assert window.find_element(By.ID, "frame").text == "1 / 2"


def test_the_scrubber_changes_the_frame(window, page):
    open_report(window, page, "dogs/2")
    before = picture(window)
    window.find_element(By.ID, "scrubber").send_keys(Keys.END)  # the slider's own key
    assert time_of(window) == 2
    assert window.find_element(By.ID, "frame").text == "3 / 3"
    assert picture(window) != before


def test_arrows_and_space(window, page):
    open_report(window, page, "dogs/2")
    press(window, Keys.ARROW_RIGHT)  # nothing scrolls sideways: wherever the focus is
    assert time_of(window) == 1
    press(window, Keys.ARROW_LEFT, Keys.ARROW_LEFT)
    assert time_of(window) == 0
    window.find_element(By.ID, "stage").click()
    press(window, " ")
    WebDriverWait(window, LIMIT).until(lambda browser: time_of(browser) == 2)
    press(window, " ")
    assert window.execute_script("return viewer.timer") is None
    before = window.find_element(By.ID, "where").text
    press(window, Keys.ARROW_DOWN)
    wait_for_sentence(window)
    assert window.find_element(By.ID, "where").text != before


def test_keys_that_scroll_scroll_while_the_focus_is_elsewhere(window, page):
    open_report(window, page, "dogs/2")
    resize(window, 1280, 400)
    try:
        press(window, Keys.ARROW_DOWN)
        moved = "return document.scrollingElement.scrollTop > 0"
        WebDriverWait(window, LIMIT).until(lambda browser: browser.execute_script(moved))
        assert window.find_element(By.ID, "where").text == "dogs · 2"
        press(window, " ")
        assert window.execute_script("return viewer.timer") is None
    finally:
        resize(window, 1440, 2000)


def test_a_table_that_goes_on_fades_out_and_scrolls_by_keyboard(window, page):
    resize(window, 400, 844, mobile=True)
    try:
        open_report(window, page, "dogs/2")
        frames = window.find_element(By.CSS_SELECTOR, ".viewer .scroll")
        WebDriverWait(window, LIMIT).until(lambda _: frames.get_attribute("data-more") == "right")
        assert "linear-gradient" in frames.value_of_css_property("mask-image")
        window.execute_script("arguments[0].focus()", frames)
        press(window, Keys.ARROW_RIGHT)
        WebDriverWait(window, LIMIT).until(lambda _: "left" in frames.get_attribute("data-more"))
        assert time_of(window) == 0
    finally:
        resize(window, 1440, 2000)


def test_no_card_is_alone_in_a_row_with_an_empty_half(window, page):
    """At 1280 px histogram and agreement share a row, and what a card holds fills it."""
    resize(window, 1280, 900)
    try:
        open_report(window, page)
        cards = window.find_elements(By.CSS_SELECTOR, ".card")
        for card in cards:
            holds = max(child.rect["width"] for child in card.find_elements(By.XPATH, "./*"))
            table = card.find_elements(By.TAG_NAME, "table")
            shown = table[0].rect["width"] if table else holds
            assert shown > 0.8 * card.rect["width"], card.text
        rows_of_cards: dict[float, float] = {}
        for card in cards:
            row = round(card.rect["y"])
            rows_of_cards[row] = rows_of_cards.get(row, 0) + card.rect["width"]
        assert min(rows_of_cards.values()) > 0.95 * max(rows_of_cards.values())
    finally:
        resize(window, 1440, 2000)


def test_layers_can_be_switched_off(window, page):
    open_report(window, page, "dogs/2")
    before = picture(window)
    window.find_elements(By.CSS_SELECTOR, "#layers input")[3].click()
    without_vote = picture(window)
    assert without_vote != before
    press(window, "4")
    assert picture(window) == before


def test_the_masks_in_the_page_are_those_of_the_store(window, page):
    open_report(window, page, "dogs/2")
    for layer, expected in enumerate([square(4, 1), square(6, 1), square(8, 1), square(6, 1)]):
        cells = window.execute_script(f"return Array.from(viewer.view.masks.cells(1, {layer}))")
        grid = np.array(cells).reshape(HEIGHT + 2, WIDTH + 2)
        np.testing.assert_array_equal(grid[1:-1, 1:-1], expected)
        assert grid.sum() == expected.sum()


def test_outlines_go_around_objects_and_holes(window, page):
    cells = np.zeros((7, 8), int)
    cells[1:6, 1:6] = 1
    cells[3, 3] = 0  # a hole
    cells[1, 1] = 0  # a corner
    cells[5, 6] = 1
    trace = "return traceLoops(Uint8Array.from(arguments[0]), arguments[1])"
    loops = window.execute_script(trace, cells.reshape(-1).tolist(), 8)
    assert sorted(len(loop) for loop in loops) == [4, 22]
    assert [2.5, 2.0] in loops[-1] or [2.5, 2.0] in loops[0]  # above the hole


def test_a_file_that_is_missing_is_named(window, write, score):
    page = write()
    for script in page.parent.glob("videos/*.js"):
        script.unlink()
    window.get(page.as_uri())
    state = window.find_element(By.ID, "state")
    WebDriverWait(window, LIMIT).until(lambda _: "make the report again" in state.text)


def test_dark_and_light_follow_the_system(window, page):
    colours = set()
    for scheme in ("light", "dark"):
        set_scheme(window, scheme)
        script = "return getComputedStyle(document.documentElement).backgroundColor"
        colours.add(window.execute_script(script))
    assert len(colours) == 2


@pytest.mark.parametrize("width", [390, 768, 1440])
def test_nothing_is_wider_than_the_window(window, page, width):
    resize(window, width, 844, mobile=width < 500)
    try:
        open_report(window, page)
        assert window.execute_script("return document.documentElement.scrollWidth") == width
    finally:
        resize(window, 1440, 2000)
