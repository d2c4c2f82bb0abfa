"""Forms with mistakes: kept for their own page in their own browser, and nowhere else."""

from __future__ import annotations

import secrets

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from keystead_kit.drafts import Draft, Drafts
from keystead_kit.forms import Cookies

TYPED = {"name": "Ada & Söhne", "code": "s3cret"}
WRONG = {"name": "That is not a name."}


def browser(key: bytes = b"k" * 32, **typed: str) -> TestClient:
    drafts = Drafts(key, Cookies("sample", secure=False))

    def send(request: Request) -> Response:
        return drafts.send_back(request, Draft(TYPED | typed, WRONG))

    def show(request: Request) -> Response:
        draft = drafts.get(request)
        return JSONResponse({"values": draft.values, "errors": draft.errors})

    def take(request: Request) -> Response:
        response = PlainTextResponse("taken")
        drafts.forget(request, response)
        return response

    routes = [Route(path, each, methods=[method]) for path in ("/a", "/b") for method, each in
              (("POST", send), ("GET", show), ("DELETE", take))]  # fmt: skip
    return TestClient(Starlette(routes=routes), follow_redirects=False)


def sent(client: TestClient) -> str:
    response = client.post("/a")
    assert response.status_code == 303
    return response.headers["location"]


def test_what_was_typed_and_what_is_wrong_come_back_as_often_as_the_page_is_opened() -> None:
    client = browser()
    page = sent(client)
    for _ in range(2):
        assert client.get(page).json() == {"values": TYPED, "errors": WRONG}


def test_neither_the_address_nor_the_cookie_can_be_read() -> None:
    client = browser()
    response = client.post("/a")
    assert "s3cret" not in response.headers["location"] + response.headers["set-cookie"]
    assert "HttpOnly" in response.headers["set-cookie"]


def test_a_form_that_is_opened_afresh_is_empty() -> None:
    client = browser()
    page = sent(client)
    for address in ("/a", "/a?draft=other", page.replace("/a", "/b")):
        assert client.get(address).json() == {"values": {}, "errors": {}}


def test_a_draft_ends_when_the_form_is_taken() -> None:
    client = browser()
    page = sent(client)
    client.delete("/a")
    assert client.get(page).json() == {"values": {}, "errors": {}}


@pytest.mark.parametrize("cookie", ["", "A", "AAAA" * 20, "é", "=" * 9])
def test_a_forged_draft_is_none(cookie: str) -> None:
    answer = browser().get("/a?draft=x", headers={"cookie": f"sample_draft={cookie}".encode("latin-1")})
    assert answer.json() == {"values": {}, "errors": {}}


def test_another_services_draft_is_none() -> None:
    client, other = browser(), browser(key=b"o" * 32)
    page = sent(client)
    other.cookies = client.cookies
    assert other.get(page).json() == {"values": {}, "errors": {}}


def test_of_a_text_that_no_cookie_holds_the_mistake_is_still_told() -> None:
    client = browser(long=secrets.token_hex(4000))
    assert client.get(sent(client)).json() == {"values": TYPED, "errors": WRONG}
