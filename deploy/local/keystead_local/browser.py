"""A browser without a screen: follows links and redirects, keeps cookies, fills in forms as the page has them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin

import httpx

_DEFAULT_TYPES = {"input": "text", "button": "submit"}


class PageUnexpected(Exception):
    """The page is not the one that should have come. The message says what it lacks and what it says."""


@dataclass
class Form:
    """A form: where it goes, and its fields with the values that the page put in."""

    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Page:
    """A page that came. `links` are absolute, in the page's order; `data` holds the `data-…` attributes of #live."""

    url: str
    status: int
    title: str
    text: str
    forms: list[Form]
    links: list[str]
    data: dict[str, str]

    def form_with(self, name: str = "") -> Form:
        """The form that has the field `name` (the first POST form without one). Raises PageUnexpected."""
        for form in self.forms:
            if name in form.names or (not name and form.method == "post" and "sign-out" not in form.action):
                return form
        raise self.unexpected(f"a form with {name or 'a button'}")

    def link_to(self, ending: str) -> str:
        """The first link whose path ends with `ending`. Raises PageUnexpected."""
        for link in self.links:
            if httpx.URL(link).path.endswith(ending):
                return link
        raise self.unexpected(f"a link to …{ending}")

    def unexpected(self, wanted: str) -> PageUnexpected:
        """The exception that says that the page lacks `wanted`."""
        return PageUnexpected(f"no {wanted} on “{self.title}” ({self.status} {self.url}): {self.text[:400]}")


class Browser:
    """One browser. `verify` is as for httpx (a file of CA certificates for a server that a public CA does not know)."""

    def __init__(self, origin: str, *, verify: str | bool = True, timeout: float = 20.0) -> None:
        self.origin = origin
        self._http = httpx.Client(
            base_url=origin,
            headers={"accept": "text/html", "accept-language": "en", "user-agent": "keystead-demo"},
            follow_redirects=True,
            timeout=timeout,
            verify=_context(verify),
        )

    def get(self, url: str) -> Page:
        """Opens an address."""
        return _page(self._http.get(url))

    def download(self, url: str) -> bytes:
        """A file behind a link. Raises httpx.HTTPStatusError."""
        return self._http.get(url).raise_for_status().content

    def submit(self, form: Form, **values: str) -> Page:
        """Sends a form with its values, changed by `values`, as a browser does: with `Origin` (Fetch, 3.2)."""
        filled = {**form.fields, **values}
        if form.method == "get":
            return _page(self._http.get(form.action, params=filled))
        return _page(self._http.post(form.action, data=filled, headers={"origin": self.origin}))

    def events(self, url: str) -> Iterator[tuple[str, Any]]:
        """Server-sent events (WHATWG HTML, 9.2) as (name, JSON), until the server ends the stream."""
        headers = {"accept": "text/event-stream"}
        timeout = httpx.Timeout(20, read=60)
        with self._http.stream("GET", url, headers=headers, timeout=timeout) as response:
            response.raise_for_status()
            name, data = "message", ""
            for line in response.iter_lines():
                if line.startswith("event: "):
                    name = line[7:]
                elif line.startswith("data: "):
                    data += line[6:]
                elif not line and data:
                    yield name, json.loads(data)
                    name, data = "message", ""

    def close(self) -> None:
        """Closes its connections."""
        self._http.close()


def _context(verify: str | bool) -> Any:
    if isinstance(verify, bool):
        return verify
    import ssl

    return ssl.create_default_context(cafile=verify)


def _page(response: httpx.Response) -> Page:
    parser = _Parser(str(response.url))
    parser.feed(response.text)
    return Page(
        url=str(response.url),
        status=response.status_code,
        title=" ".join(parser.title.split()),
        text=" ".join(parser.text.split()),
        forms=parser.forms,
        links=parser.links,
        data=parser.data,
    )


class _Parser(HTMLParser):
    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = url
        self.title, self.text, self.inside = "", "", ""
        self.forms: list[Form] = []
        self.links: list[str] = []
        self.data: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag in ("title", "main", "script", "style"):
            self.inside = tag
        if tag == "a" and "href" in given:
            self.links.append(urljoin(self.url, given["href"]))
        elif tag == "form":
            action = urljoin(self.url, given.get("action", ""))
            self.forms.append(Form(action, given.get("method", "get").lower()))
        elif tag in ("input", "textarea", "select") and self.forms and given.get("name"):
            self._field(tag, given)
        if given.get("id") == "live":
            self.data = {name.removeprefix("data-"): value for name, value in given.items() if name.startswith("data-")}

    def _field(self, tag: str, given: dict[str, str]) -> None:
        form, kind = self.forms[-1], given.get("type", _DEFAULT_TYPES.get(tag, tag))
        form.names.add(given["name"])
        if kind not in ("radio", "checkbox") or "checked" in given:
            form.fields[given["name"]] = given.get("value", "on" if kind == "checkbox" else "")

    def handle_endtag(self, tag: str) -> None:
        if tag == self.inside:
            self.inside = ""

    def handle_data(self, data: str) -> None:
        if self.inside == "title":
            self.title += data
        elif self.inside == "main":
            self.text += data
