"""Signing in through SimpleSAMLphp in Chromium: which cookies go along with what another site has a browser send is the
browser's to decide. The provider is at 127.0.0.1 and we are at localhost, so that each is the other's other site."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn
from playwright.sync_api import BrowserContext, Request
from tests.integration.auth_support import FORM, Auth
from tests.integration.saml_support import certificate, provider_fact, read_providers, saml_auth
from tests.support.browser import TIMEOUT_MS
from tests.support.preview_pages import chromium
from tests.support.servers import HOST, free_port, listening, wait_until
from tests.support.simplesamlphp import PASSWORD, IdentityProvider, simplesamlphp

from keystead_auth.domain.saml.names import POST

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def idp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IdentityProvider]:
    with simplesamlphp(tmp_path_factory.mktemp("idp") / "one") as running:
        yield running


@contextmanager
def serving(auth: Auth, port: int) -> Iterator[None]:
    server = uvicorn.Server(uvicorn.Config(auth.app, host=HOST, port=port, log_config=None))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        wait_until(lambda: listening(port), "auth listens")
        yield
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def auth(sqlite_url: str, redis_url: str, tmp_path: Path, idp: IdentityProvider) -> Iterator[Auth]:
    port = free_port()
    origin = f"http://localhost:{port}"
    with saml_auth(sqlite_url, redis_url, tmp_path, public_origin=origin) as running:
        idp.know(f"{origin}/auth/saml/metadata", f"{origin}/auth/saml/acs", certificate(running))
        with serving(running, port):
            yield running


@pytest.fixture
def context() -> Iterator[BrowserContext]:
    with chromium() as browser:
        context = browser.new_context()
        context.set_default_timeout(TIMEOUT_MS)
        yield context


@pytest.mark.parametrize("by_post", [False, True])
def test_a_browser_is_known_again_when_it_comes_back_from_another_site(
    auth: Auth, idp: IdentityProvider, context: BrowserContext, by_post: bool
) -> None:
    idp.hosted(**{"SingleSignOnServiceBinding": [POST]} if by_post else {})
    auth.take(provider_fact(metadata_url=idp.metadata_url))
    read_providers(auth)
    origin, page = auth.parts.settings.public_origin, context.new_page()
    sent: dict[str, Request] = {}

    def note(request: Request) -> None:
        sent[request.url] = request

    page.on("request", note)
    page.goto(f"{origin}/auth/sign-in/{FORM}")
    if by_post:
        page.get_by_role("button", name="Continue").click()
    page.fill("input[name=username]", "ada")
    page.fill("input[name=password]", PASSWORD)
    with page.expect_response(lambda response: response.url == f"{origin}/e/{FORM}"):
        page.press("input[name=password]", "Enter")
    assert "keystead_identity" in {cookie["name"] for cookie in context.cookies(origin)}
    assert "cookie" not in sent[f"{origin}/auth/saml/acs"].all_headers()
