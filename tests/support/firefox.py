"""Debian's Firefox without a window, driven through geckodriver by what a person reads and presses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException
from selenium.webdriver import Firefox as Driver
from selenium.webdriver import FirefoxOptions
from selenium.webdriver.common.by import By
from selenium.webdriver.firefox.service import Service
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait
from tests.support.browser import Desktop

from keystead_local.stack import executable

FIREFOX = "/usr/bin/firefox-esr"
SECONDS = 30.0
_NOT_YET = (NoSuchElementException, StaleElementReferenceException)


class Firefox:
    """One browser with one tab. `faults` gathers errors of the pages' scripts."""

    def __init__(self, driver: Driver) -> None:
        self.driver = driver
        self.faults: list[str] = []
        self._wait = WebDriverWait(driver, SECONDS, poll_frequency=0.05, ignored_exceptions=_NOT_YET)
        driver.script.add_javascript_error_handler(
            lambda error: self.faults.append(f"{driver.current_url}: {error.text}")
        )

    def open(self, address: str) -> None:
        """Opens the address."""
        self.driver.get(address)

    def sees(self, heading: str) -> None:
        """Waits for the page with this heading. Raises TimeoutException."""
        self._wait.until(lambda driver: driver.find_element(By.TAG_NAME, "h1").text == heading, f"no page “{heading}”")

    def fill(self, name: str, value: str) -> None:
        """Types into the field."""
        self.driver.find_element(By.ID, f"f-{name}").send_keys(value)

    def check(self, name: str) -> None:
        """Sets the check."""
        self.driver.find_element(By.ID, f"f-{name}").click()

    def press(self, name: str) -> None:
        """Presses the button, or follows the link, with this name."""
        self._named(name).click()

    def address_of(self, name: str) -> str:
        """Where the link with this name leads."""
        return str(self._named(name).get_attribute("href"))

    def _named(self, name: str) -> WebElement:
        path = f'//main//*[self::button or self::a][normalize-space()="{name}"]'
        found: WebElement = self._wait.until(lambda driver: driver.find_element(By.XPATH, path), f"no “{name}”")
        return found

    def text(self, selector: str) -> str:
        """What an element says."""
        return self.driver.find_element(By.CSS_SELECTOR, selector).text

    def picture(self, path: Path) -> None:
        """The whole page."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.driver.save_full_page_screenshot(str(path))


@contextmanager
def firefox(folder: Path, desktop: Desktop) -> Iterator[Firefox]:
    """A browser with a profile in `folder`, whose user once let `keystead:` links be opened always."""
    opener = {"name": "Keystead Agent", "path": str(desktop.folder / "xdg-open")}
    schemes = {"keystead": {"action": 2, "ask": False, "handlers": [opener]}}  # 2: use the program
    folder.mkdir(parents=True)
    (folder / "handlers.json").write_text(
        json.dumps({"defaultHandlersVersion": {}, "mimeTypes": {}, "schemes": schemes})
    )
    options = FirefoxOptions()
    options.binary_location = FIREFOX
    options.web_socket_url = True
    for argument in ("-headless", "-profile", str(folder)):
        options.add_argument(argument)
    options.set_preference("network.protocol-handler.external.keystead", True)  # without asking
    options.set_preference("intl.accept_languages", "en-GB, en")
    driver = Driver(options=options, service=Service(executable("geckodriver"), log_output=str(folder / "driver.log")))
    try:
        yield Firefox(driver)
    finally:
        driver.quit()
