"""The served pages in a real browser: hostile rows run nothing, nothing is fetched elsewhere, links and forms lead."""

import json
import shutil
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from pipelines.serve.server import RunServer

from .conftest import HOSTILE

pytestmark = pytest.mark.slow
WIDTHS = (1440, 820, 390)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    selenium = pytest.importorskip("selenium", reason="selenium is not installed")
    assert selenium
    if (chromium := shutil.which("chromium")) is None or (driver := shutil.which("chromedriver")) is None:
        pytest.skip("chromium and chromedriver are not installed")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    profile = tmp_path_factory.mktemp("profile")
    for argument in (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        f"--user-data-dir={profile}",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    made = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield made
    made.quit()


def requested(browser: Any) -> list[str]:
    """The addresses that the browser has asked for since the last call."""
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
    return [url for url in sent if not url.startswith(("data:", "chrome"))]


@pytest.mark.parametrize(
    "page", ["ledger", "explain?row=0", "explain?row=1", "explain?row=2", "explain?document=" + quote(HOSTILE)]
)
def test_hostile_rows_run_nothing(browser: Any, hostile_server: RunServer, page: str) -> None:
    browser.get(hostile_server.url + page)
    assert browser.title != "owned"
    assert browser.execute_script("return document.scripts.length") == 0
    links = browser.execute_script("return [...document.links].map(a => a.protocol)")
    assert set(links) <= {"http:", "https:"}
    assert {urlsplit(url).netloc for url in requested(browser)} == {urlsplit(hostile_server.url).netloc}


def test_a_form_filters_and_a_link_explains(browser: Any, server: RunServer) -> None:
    from selenium.common.exceptions import StaleElementReferenceException
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.wait import WebDriverWait

    def shows(text: str) -> None:  # also while the page before is on its way out
        WebDriverWait(browser, 30, ignored_exceptions=[StaleElementReferenceException]).until(
            lambda _: text in browser.find_element(By.TAG_NAME, "main").text
        )

    browser.get(server.url + "ledger")
    browser.find_element(By.NAME, "host").send_keys("near.example", Keys.ENTER)
    shows("2 of ")
    browser.find_element(By.CSS_SELECTOR, "td.url a").send_keys(Keys.ENTER)
    shows("https://near.example/short")
    browser.find_element(By.LINK_TEXT, "What if").send_keys(Keys.ENTER)
    shows("Thresholds of this run")
    browser.find_element(By.NAME, "set").send_keys("gopher_quality.min_words=20,100")
    browser.find_element(By.CSS_SELECTOR, "form button").send_keys(Keys.ENTER)
    shows("gopher_quality.min_words=100")
    assert [entry for entry in browser.get_log("browser") if "favicon" not in entry["message"]] == []


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_cut_at(browser: Any, server: RunServer, width: int) -> None:
    """A page is as wide as the window; what is wider scrolls in a box of its own."""
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    sorted_by = "ledger?sort=gopher_quality.word_count"
    explained, forecast = "explain?document=https://short.example/1", "whatif?set=gopher_quality.min_words=20,100"
    for page in ("", sorted_by, explained, forecast):
        browser.get(server.url + page)
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width, page
