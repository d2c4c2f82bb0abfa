"""Static files from memory."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from keystead_kit.statics import add_static_files


@pytest.fixture
def client(tmp_path: Path) -> TestClient:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "page.css").write_text("p {}")
    (tmp_path.parent / "secret.css").write_text("secret")
    app = FastAPI()
    add_static_files(app, tmp_path)
    return TestClient(app)


def test_a_file_comes_with_its_type_and_may_be_kept_for_an_hour(client: TestClient) -> None:
    response = client.get("/static/sub/page.css")
    assert response.text == "p {}"
    assert response.headers["content-type"].startswith("text/css")
    assert response.headers["cache-control"] == "public, max-age=3600"
    assert client.head("/static/sub/page.css").status_code == 200


def test_what_the_browser_has_is_not_sent_again(client: TestClient) -> None:
    etag = client.get("/static/sub/page.css").headers["etag"]
    again = client.get("/static/sub/page.css", headers={"if-none-match": etag})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("path", ["", "sub", "none.css", "../secret.css", "%2e%2e/secret.css", "sub/../sub/page.css/"])
def test_nothing_else_is_there(client: TestClient, path: str) -> None:
    assert client.get(f"/static/{path}").status_code == 404
