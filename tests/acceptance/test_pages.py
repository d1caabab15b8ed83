"""What people see in Dagster's own UI, in a real browser: the trend's picture and numbers, without a click."""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Literal

import pytest
from pydantic import SecretStr
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from evalops_core.postgres.server import Started
from evalops_core.run.detect import detect
from evalops_core.store.engine import make_engine
from tests.acceptance.dev_stack import Home
from tests.browser import browser
from tests.builders import environment, write_suite
from tests.conftest import new_database
from tests.run.scored import START, Scored, rules

pytestmark = pytest.mark.process
_PICTURE = "img[src^='data:image/svg+xml']"
_WITHIN_S = 90


@dataclass(frozen=True)
class Site:
    """A deployment with a history, the newest run of which has regressed."""

    url: str
    folder: Path


@pytest.fixture(scope="module")
def site(postgres: Started, template_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("pages")
    with browser(folder / "there"):
        pass  # where there is none, nothing is started
    for url in new_database(postgres, template_database):
        _remember(url)
        for feature in ("explain", "extract"):
            write_suite(folder / "suites", "http://127.0.0.1:9/v1", feature=feature, cases=2)
        home = Home(folder, environment(url, folder / "home", folder / "suites", "http://127.0.0.1:9/v1"))
        try:
            yield Site(home.start_dev().url, folder)
        finally:
            home.end()


def _remember(url: SecretStr) -> None:
    engine = make_engine(url)
    scored = Scored(engine)
    scored.runs(["4.100", "4.200", "4.100", "4.150"])
    scored.runs(["4.200", "3.100"], first_day=5, key={"prompt": "another"})
    scored.runs(["3.500", "3.600"], feature="extract")
    detect(engine, rules(), START + timedelta(days=7))
    engine.dispose()


@contextmanager
def page(site: Site, path: str, theme: Literal["light", "dark"]) -> Generator[Chrome, None, None]:
    """The page once a picture is on it; `regression_sensor` brings it there some seconds after the start."""
    with browser(site.folder / f"profile {path.replace('/', ' ')} {theme}", theme) as chrome:
        chrome.get(f"{site.url}/server_info")
        chrome.execute_script("localStorage.setItem('communityNux', '1')")  # a dialog of Dagster's own
        chrome.get(site.url + path)
        WebDriverWait(chrome, _WITHIN_S).until(_shows_a_picture)
        yield chrome


def _shows_a_picture(chrome: Chrome) -> bool:
    """The browser has decoded one: an SVG with a mistake in it has no size."""
    found = chrome.find_elements(By.CSS_SELECTOR, _PICTURE)
    return bool(found) and all(_width(image) > 0 for image in found)


def _width(image: WebElement) -> int:
    return int(image.get_property("naturalWidth") or 0)  # type: ignore[arg-type]  # typed as anything that JSON holds


def value_of(chrome: Chrome, key: str) -> str:
    """What stands in the metadata table's row of that name."""
    (row,) = [
        row
        for row in chrome.find_elements(By.CSS_SELECTOR, "tr")
        if (cells := row.find_elements(By.CSS_SELECTOR, ":scope > td")) and cells[0].text.replace("\n", " ") == key
    ]
    return row.find_elements(By.CSS_SELECTOR, ":scope > td")[-1].text


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_feature_s_trend_shows_its_picture_and_its_numbers_without_a_click(
    site: Site, theme: Literal["light", "dark"]
) -> None:
    with page(site, "/assets/explain/trend", theme) as chrome:
        (picture,) = chrome.find_elements(By.CSS_SELECTOR, _PICTURE)
        assert picture.is_displayed()
        assert picture.rect["y"] + picture.rect["height"] < 900, "without scrolling"
        assert picture.rect["width"] > 150
        assert value_of(chrome, "score") == "3.1"
        assert value_of(chrome, "verdict") == "regressed"
        assert value_of(chrome, "incident") == "1 is open"
        assert "prompt changed" in value_of(chrome, "trend")
        chrome.save_screenshot(site.folder / f"trend {theme}.png")


def test_the_trend_of_all_shows_a_picture_of_each_feature_what_is_open_first(site: Site) -> None:
    with page(site, "/assets/eval_trend", "light") as chrome:
        WebDriverWait(chrome, _WITHIN_S).until(lambda _: len(chrome.find_elements(By.CSS_SELECTOR, _PICTURE)) == 2)
        assert "Show Markdown" not in chrome.page_source, "the UI hides what is too long"
        names = [cell.text for cell in chrome.find_elements(By.CSS_SELECTOR, "tr > td:first-child")]
        assert names.index("explain") < names.index("extract") < names.index("last 20 runs")
        assert value_of(chrome, "score explain") == "3.1"
