"""Photograph a run's report in headless Chromium, for README and for looking at it while working.

    .venv/bin/mevis-submission submit --run runs/sample
    .venv/bin/python -m scripts.pictures.report runs/sample/report/index.html picture.png

Needs Chromium and its driver ('sudo apt install chromium chromium-driver').
"""

import argparse
import base64
import io
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.support.ui import WebDriverWait

NEEDS = "Chromium and its driver are needed: run 'sudo apt install chromium chromium-driver'"
COLOURS = 256  # of the palette that keeps the file small


def find_browser() -> tuple[str, str] | None:
    """Return the programs of Chromium and of its driver, None when one is missing."""
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    return (browser, driver) if browser and driver else None


@contextmanager
def open_browser(width: int, height: int) -> Iterator[WebDriver]:
    """Give a headless Chromium with an empty profile, and a page of this size in CSS pixels."""
    programs = find_browser()
    if programs is None:
        sys.exit(NEEDS)
    with tempfile.TemporaryDirectory() as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = programs[0]
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        for word in (
            "headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run",
            "disable-background-networking", "disable-component-update", "disable-sync",
            "disable-dev-shm-usage", "hide-scrollbars", f"user-data-dir={profile}",
        ):  # fmt: skip
            options.add_argument(f"--{word}")
        driver = webdriver.Chrome(options=options, service=Service(programs[1]))
        try:
            resize(driver, width, height)
            yield driver
        finally:
            driver.quit()


def resize(driver: WebDriver, width: int, height: int, *, mobile: bool = False) -> None:
    """Give the page a size in CSS pixels; windows themselves cannot be as narrow as a phone."""
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def set_scheme(driver: WebDriver, scheme: str) -> None:
    """Ask for "light" or "dark" as the user's system would."""
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def open_report(driver: WebDriver, page: Path, address: str = "") -> None:
    """Open a report from disk and wait until a sentence is drawn."""
    driver.get("about:blank")  # a change of the part after "#" alone would not load the page
    driver.get(f"{page.resolve().as_uri()}{'#' if address else ''}{address}")
    wait_for_sentence(driver)


def wait_for_sentence(driver: WebDriver) -> None:
    """Wait until the open sentence is drawn; its state says why when it cannot be."""
    drawn = "return viewer.view !== null && document.getElementById('state').textContent === ''"
    WebDriverWait(driver, 20).until(lambda browser: browser.execute_script(drawn))


def photograph(driver: WebDriver, path: Path, *, whole_page: bool = False) -> None:
    """Write what the window shows, or the whole page below it, too, as a PNG with a palette."""
    taken = driver.execute_cdp_cmd(
        "Page.captureScreenshot", {"format": "png", "captureBeyondViewport": whole_page}
    )
    picture = Image.open(io.BytesIO(base64.b64decode(taken["data"]))).convert("RGB")
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.quantize(COLOURS, kmeans=1, dither=Image.Dither.NONE).save(path, optimize=True)


def main() -> None:
    """Read the command line and take one picture."""
    parser = argparse.ArgumentParser(description="Photograph a run's report.")
    parser.add_argument("page", type=Path, help="report/index.html of a run")
    parser.add_argument("picture", type=Path, help="the PNG to write")
    parser.add_argument("--width", type=int, default=1440)
    parser.add_argument("--height", type=int, default=900)
    parser.add_argument("--window", action="store_true", help="only what the window shows")
    parser.add_argument("--scheme", choices=["light", "dark"], default="light")
    parser.add_argument("--open", default="", metavar="VIDEO/ID", help="the sentence to show")
    parser.add_argument("--frame", type=int, default=0, help="the frame to show, from 0")
    words = parser.parse_args()
    with open_browser(words.width, words.height) as driver:
        set_scheme(driver, words.scheme)
        open_report(driver, words.page, words.open)
        driver.execute_script("viewer.show(arguments[0])", words.frame)
        photograph(driver, words.picture, whole_page=not words.window)
    print(f"{words.picture}: {words.picture.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
