"""A development double of a mail server and a mail program: takes every letter, keeps it, shows it on a page.

For `make demo`, `make up` and tests. It listens on 127.0.0.1 only and refuses to run in production mode. aiosmtpd is a
development requirement and therefore imported when the mailbox starts.
"""

from __future__ import annotations

import json
import re
import threading
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default as default_policy
from pathlib import Path
from typing import Any, Self

import click
from fastapi import FastAPI, Response
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse
from pydantic_settings import BaseSettings, SettingsConfigDict
from starlette.exceptions import HTTPException

from keystead_kit.edge import CSP
from keystead_kit.http import new_app
from keystead_kit.pages import Pages
from keystead_kit.server import run_web
from keystead_kit.settings import EXIT_USAGE, Mode

HOST = "127.0.0.1"
LONGEST_LETTER = 1024 * 1024
LETTER_CSP = (
    "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'; "
    "sandbox allow-popups allow-popups-to-escape-sandbox"
)
_LINK = re.compile(r"https?://[^\s<>\"]+")
_ID = re.compile(r"[0-9]{6}")


class _ModeOnly(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="KEYSTEAD_NOTIFY_", extra="ignore")
    mode: Mode = Mode.PRODUCTION


class MailFolder:
    """Letters as `.eml` files, numbered as they came: `000001.eml`. Who they went to stands in `000001.json`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)

    def keep(self, raw: bytes, sender: str, recipients: list[str]) -> str:
        """Stores a letter; its id."""
        with self._lock:
            number = max((int(path.stem) for path in self._folder.glob("*.eml") if _ID.fullmatch(path.stem)), default=0)
            id = f"{number + 1:06}"
            envelope = {"from": sender, "to": recipients, "received_at": datetime.now(UTC).isoformat()}
            (self._folder / f"{id}.json").write_text(json.dumps(envelope))
            partial = self._folder / f"{id}.part"
            partial.write_bytes(raw)
            partial.rename(self._folder / f"{id}.eml")
        return id

    def source(self, id: str) -> bytes | None:
        """A letter as it came."""
        path = self._folder / f"{id}.eml"
        return path.read_bytes() if _ID.fullmatch(id) and path.exists() else None

    def html(self, id: str) -> str | None:
        """A letter's HTML; None if it has none."""
        raw = self.source(id)
        return _part(_parsed(raw), "html") if raw is not None else None

    def messages(self, to: str | None = None) -> list[dict[str, Any]]:
        """Every letter, oldest first, or those to one address: id, from, to, received_at, subject, message_id, date,
        text, links."""
        found = [self._described(path) for path in sorted(self._folder.glob("*.eml")) if _ID.fullmatch(path.stem)]
        return [each for each in found if to is None or to.lower() in (address.lower() for address in each["to"])]

    def _described(self, path: Path) -> dict[str, Any]:
        message = _parsed(path.read_bytes())
        text = _part(message, "plain") or ""
        return {
            "id": path.stem,
            **json.loads(path.with_suffix(".json").read_text()),
            "subject": str(message["subject"] or ""),
            "message_id": str(message["message-id"] or ""),
            "date": str(message["date"] or ""),
            "text": text,
            "links": _LINK.findall(text),
        }


class MailboxServer(AbstractContextManager["MailboxServer"]):
    """The SMTP side, in a thread of its own while the block lasts."""

    def __init__(self, mail: MailFolder, port: int) -> None:
        from aiosmtpd.controller import Controller

        self._controller = Controller(
            _Keeper(mail), HOST, port, data_size_limit=LONGEST_LETTER, ident="Keystead development mailbox"
        )

    def __enter__(self) -> Self:
        self._controller.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._controller.stop()


class _Keeper:
    def __init__(self, mail: MailFolder) -> None:
        self._mail = mail

    async def handle_DATA(self, _server: object, _session: object, envelope: Any) -> str:  # noqa: N802 aiosmtpd's name
        id = self._mail.keep(envelope.content, envelope.mail_from, envelope.rcpt_tos)
        return f"250 kept as {id}"


def create_mailbox_app(mail: MailFolder) -> FastAPI:
    """The page `/` with every letter, and `/messages` for programs."""
    pages = Pages(Path(__file__).parent / "web" / "templates")
    app = new_app("mailbox", "Keystead development mailbox", pages=pages, ready={}, secure=False)

    @app.get("/")
    def index() -> Response:
        return pages.render("mailbox.html", messages=mail.messages()[::-1], message=None)

    @app.get("/messages")
    def messages(to: str | None = None) -> Response:
        return JSONResponse(mail.messages(to), headers={"cache-control": "no-store"})

    @app.get("/messages/{id}")
    def message(id: str) -> Response:
        found = [each for each in mail.messages() if each["id"] == id]
        if not found:
            raise HTTPException(404)
        response = pages.render("mailbox.html", messages=[], message=found[0])
        response.headers["content-security-policy"] = f"{CSP}; frame-src 'self'"
        return response

    @app.get("/messages/{id}/html")
    def html(id: str) -> Response:
        body = mail.html(id)
        if body is None:
            raise HTTPException(404)
        opened_apart = '<base target="_blank">'
        return HTMLResponse(
            body.replace("<head>", f"<head>{opened_apart}", 1),
            headers={"content-security-policy": LETTER_CSP, "x-frame-options": "SAMEORIGIN"},
        )

    @app.get("/messages/{id}/source")
    def source(id: str) -> Response:
        raw = mail.source(id)
        if raw is None:
            raise HTTPException(404)
        return PlainTextResponse(raw)

    return app


def run_mailbox(smtp_port: int, web_port: int, folder: Path) -> None:
    """Serves until SIGTERM. Exits 2 unless KEYSTEAD_NOTIFY_MODE is development."""
    if _ModeOnly().mode is not Mode.DEVELOPMENT:
        click.echo("error: the development mailbox is refused in production mode", err=True)
        click.echo("hint: set KEYSTEAD_NOTIFY_MODE=development if this is a development machine", err=True)
        raise SystemExit(EXIT_USAGE)
    mail = MailFolder(folder)
    with MailboxServer(mail, smtp_port):
        run_web(create_mailbox_app(mail), HOST, web_port, HOST)


def _parsed(raw: bytes) -> EmailMessage:
    message = message_from_bytes(raw, policy=default_policy)
    assert isinstance(message, EmailMessage)  # noqa: S101 what the default policy makes
    return message


def _part(message: EmailMessage, subtype: str) -> str | None:
    body = message.get_body((subtype,))
    return str(body.get_content()) if body is not None else None
