"""Style sheets, scripts and icons, served from memory: no thread is needed, so they come even when all are taken."""

from __future__ import annotations

import hashlib
import mimetypes
from dataclasses import dataclass
from pathlib import Path

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

FOLDER = Path(__file__).parent / "ui" / "static"
_CACHE = "public, max-age=3600"


@dataclass(frozen=True)
class _File:
    body: bytes
    media_type: str
    etag: str


def add_static_files(app: FastAPI, folder: Path = FOLDER) -> None:
    """Serves the files of `folder`, as they are now, below `/static`."""
    files = {path.relative_to(folder).as_posix(): _read(path) for path in folder.rglob("*") if path.is_file()}

    @app.api_route("/static/{path:path}", methods=["GET", "HEAD"], include_in_schema=False)
    async def static(request: Request, path: str) -> Response:
        file = files.get(path)
        if file is None:
            raise HTTPException(404)
        headers = {"cache-control": _CACHE, "etag": file.etag}
        if file.etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(file.body, media_type=file.media_type, headers=headers)


def _read(path: Path) -> _File:
    body = path.read_bytes()
    media_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return _File(body, media_type, f'"{hashlib.sha256(body).hexdigest()[:32]}"')
