"""Server-rendered pages: one Jinja2 environment a service, on top of the shared base templates."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from babel.dates import format_date
from babel.numbers import format_decimal
from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.responses import HTMLResponse

from keystead_contracts.problems import ProblemCode
from keystead_contracts.words import Words
from keystead_kit.i18n import language, speak, switch, translate
from keystead_kit.trace import bound_trace_id

if TYPE_CHECKING:
    from keystead_kit.problems import ProblemException

_BETWEEN_BACKTICKS = re.compile(r"`([^`]+)`")
_WORDS = re.compile(r"(\S{20,})")
_PIECES = re.compile(r"[^@./:]{1,16}[@./:]?|[@./:]")
SHARED = Path(__file__).parent / "ui" / "templates"


NO_FRAME: Mapping[str, Any] = MappingProxyType({})
_TITLES: Mapping[ProblemCode, str] = MappingProxyType(
    {
        ProblemCode.NOT_FOUND: Words("There is nothing here"),
        ProblemCode.UNAUTHENTICATED: Words("Sign in first"),
        ProblemCode.SESSION_EXPIRED: Words("Sign in first"),
        ProblemCode.RATE_LIMITED: Words("Wait a little"),
        ProblemCode.FORM_TOKEN_INVALID: Words("This page has ended"),
        ProblemCode.WRONG_ORIGIN: Words("This form came from elsewhere"),
        ProblemCode.FORBIDDEN: Words("You may not do that"),
        ProblemCode.TOO_LARGE: Words("That is too much"),
        ProblemCode.ORDER_REFUSED: Words("This request has moved on"),
    }
)


class Pages:
    """Renders a service's pages. A missing variable is an error, everything is escaped."""

    def __init__(self, *folders: Path) -> None:
        self._environment = Environment(
            loader=ChoiceLoader([FileSystemLoader(folder) for folder in (*folders, SHARED)]),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=["jinja2.ext.do"],
        )
        speak(self._environment)
        self._environment.globals |= {"language": language, "switch": switch}
        self._environment.filters |= {
            "number": number_text,
            "utc": utc_text,
            "iso": iso_text,
            "sentence": sentence,
            "code": with_code,
            "breaks": with_breaks,
        }

    def render(self, template: str, /, *, status: int = 200, form_token: str = "", **context: Any) -> HTMLResponse:
        """The page as a response that no cache keeps."""
        body = self._environment.get_template(template).render(
            form_token_field=lambda: Markup('<input type="hidden" name="form_token" value="{}">').format(form_token),
            **context,
        )
        return HTMLResponse(body, status, headers={"cache-control": "no-store"})

    def problem(
        self, problem: ProblemException, action: Mapping[str, str] | None = None, frame: Mapping[str, Any] = NO_FRAME
    ) -> HTMLResponse:
        """The page for a refusal that has no page of its own.

        `action` (label, url): the one useful next step. `frame`: what `base.html` shows around it, where it is known
        (form, person, sign_out_url), and the `form_token` of its sign-out.
        """
        response = self.render(
            "problem.html",
            status=problem.status,
            title=_TITLES.get(
                problem.code, Words("That did not work") if problem.status >= 500 else Words("We could not do that")
            ),
            detail=problem.detail,
            advice=problem.advice,
            reference=bound_trace_id() or "",
            help_link=problem.help_link,
            fields=problem.fields,
            action=action,
            again=problem.status >= 500,
            **frame,
        )
        response.headers.update(problem.headers | {"x-problem": problem.code})
        return response


def utc_text(moment: datetime | str, style: str = "datetime") -> str:
    """A time for a reader without script, in the language in force: "23 November 2026, 22:30 UTC"; `style`: datetime,
    date or time."""
    utc = (datetime.fromisoformat(moment) if isinstance(moment, str) else moment).astimezone(UTC)
    if style == "time":
        return f"{utc:%H:%M:%S} UTC"
    date = format_date(utc, "long", language().locale)
    return date if style == "date" else f"{date}, {utc:%H:%M} UTC"


def number_text(number: int) -> str:
    """A number as the language in force writes it: "12,345"."""
    return format_decimal(number, locale=language().locale)


def iso_text(moment: datetime | str) -> str:
    """ISO 8601, for programs."""
    return moment if isinstance(moment, str) else moment.isoformat()


def sentence(text: str) -> str:
    """`text` in the language in force, with a capital at its beginning."""
    told = translate(text)
    return told[:1].upper() + told[1:]


def with_code(text: str) -> Markup:
    """`text` in the language in force, escaped, with what stands between backticks as code."""
    return Markup(_BETWEEN_BACKTICKS.sub(r"<code>\1</code>", str(escape(translate(text)))))  # noqa: S704 it is escaped


def with_breaks(text: str) -> Markup:
    """`text` in the language in force, escaped; long words may break after each @ . / and :, and at last within."""
    pieces = _WORDS.split(str(translate(text)))
    return Markup("").join(
        Markup("<wbr>").join(_PIECES.findall(piece)) if at % 2 else piece for at, piece in enumerate(pieces)
    )
