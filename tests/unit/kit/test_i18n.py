"""Which language a request gets, how it is chosen, and how texts are said in it."""

from __future__ import annotations

from gettext import NullTranslations

import pytest
from babel import Locale
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient
from jinja2 import DictLoader, Environment, StrictUndefined

from keystead_contracts.problems import ProblemCode
from keystead_contracts.words import Words
from keystead_kit.drafts import Draft, Drafts
from keystead_kit.forms import Cookies
from keystead_kit.http import new_app
from keystead_kit.i18n import COOKIE, Language, languages, negotiate, speak, speaking, translate, translated
from keystead_kit.pages import Pages, utc_text
from keystead_kit.problems import ProblemException

PAGE = {"accept": "text/html"}
GERMAN = {**PAGE, "accept-language": "de"}


class Marked(NullTranslations):
    """Marks what it translates."""

    def gettext(self, message: str) -> str:
        return f"⟦{message}⟧"

    def ngettext(self, one: str, many: str, n: int) -> str:
        return f"⟦{super().ngettext(one, many, n)}⟧"


MARKED = Language("en-XA", "Marked", Marked(), Locale("en"))


def app() -> FastAPI:
    app = new_app("sample", "Sample", pages=Pages(), ready={}, secure=True)

    @app.get("/page")
    @app.post("/page")
    def page() -> None:
        raise ProblemException(
            403, ProblemCode.WRONG_ORIGIN, Words("Open {origin} in your browser and use the form there.", origin="<b>"),
            Words("Try again in a few seconds."),
        )  # fmt: skip

    return app


@pytest.fixture
def browser() -> TestClient:
    return TestClient(app(), base_url="https://enroll.example.org", follow_redirects=False)


@pytest.mark.parametrize(
    ("header", "tag"),
    [
        ("", "en"),
        ("de", "de"),
        ("DE-at", "de"),
        ("fr", "en"),
        ("fr, de;q=0.5, en;q=0.1", "de"),
        ("en;q=0.8, de", "de"),
        ("de;q=0.3, en;q=0.9", "en"),
        ("de , en", "de"),
        ("fr;q=1.0, *;q=0.1", "en"),
        ("en;q=0, *", "de"),
        ("de;q=0", "en"),
        ("de;q=2, en", "en"),
        ("\x00,;;q=,de-----,🦊;q=1", "en"),
        (f"{'xx,' * 10_000}de", "en"),
    ],
)
def test_the_best_accepted_language_is_spoken(header: str, tag: str) -> None:
    assert negotiate(None, header).tag == tag


def test_the_chosen_language_comes_before_the_accepted_ones() -> None:
    assert negotiate("en", "de").tag == "en"
    assert negotiate("tlh", "de").tag == "de"


def test_a_page_is_in_the_language_of_its_request(browser: TestClient) -> None:
    english, german = (browser.get("/page", headers=headers).text for headers in (PAGE, GERMAN))
    assert '<html lang="en">' in english and "Try again in a few seconds." in english
    assert '<html lang="de">' in german and "Versuchen Sie es in einigen Sekunden noch einmal." in german
    assert "&lt;b&gt;" in german and "<b>" not in german


def test_a_problem_document_is_english(browser: TestClient) -> None:
    problem = browser.get("/page", headers={"accept-language": "de"}).json()
    assert problem["detail"] == "Open <b> in your browser and use the form there."


def test_even_a_page_of_the_edge_is_in_the_language_of_its_request(browser: TestClient) -> None:
    assert "Unter dieser Adresse gibt es nichts." in browser.get("/nothing%00", headers=GERMAN).text


def test_the_switch_leads_back_and_is_remembered(browser: TestClient) -> None:
    page = browser.get("/page?a=b", headers=PAGE).text
    assert 'href="/language/de?back=/page%3Fa%3Db" lang="de" hreflang="de">Deutsch' in page
    chosen = browser.get("/language/de?back=/page%3Fa%3Db")
    assert (chosen.status_code, chosen.headers["location"]) == (303, "/page?a=b")
    cookie = chosen.headers["set-cookie"]
    assert cookie.startswith(f"{COOKIE}=de;") and "Secure" in cookie and "SameSite=lax" in cookie
    assert '<html lang="de">' in browser.get("/page", headers=PAGE | {"accept-language": "en"}).text


def test_after_a_form_the_switch_leads_to_the_forms_page(browser: TestClient) -> None:
    answer = browser.post("/page", headers=PAGE | {"referer": "https://enroll.example.org/form?x=1"})
    assert "/language/de?back=/form%3Fx%3D1" in answer.text


def test_a_language_that_is_not_there_is_not_chosen(browser: TestClient) -> None:
    answer = browser.get("/language/tlh?back=/page")
    assert answer.status_code == 404 and "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "back",
    [
        "https://evil.example",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        " //evil.example",
        "/ /evil.example",
        "javascript:alert(1)",
        "evil.example",
        "",
        "/ü",
        "/a\r\nset-cookie: x=y",
        "/" + "a" * 5000,
    ],
)
def test_the_switch_leads_to_no_other_site(browser: TestClient, back: str) -> None:
    answer = browser.get("/language/de", params={"back": back})
    assert answer.headers["location"] == "/"


@pytest.mark.parametrize("referer", ["https://[", "https://evil.example//evil.example", "//x//y", "about:blank"])
def test_no_referrer_leads_to_another_site(browser: TestClient, referer: str) -> None:
    answer = browser.post("/page", headers=PAGE | {"referer": referer})
    assert 'href="/language/de?back=/"' in answer.text


def test_templates_translate_and_escape() -> None:
    environment = Environment(
        loader=DictLoader(
            {
                "t": "{{ _('A %(thing)s.', thing=thing) }} {{ words }} {{ data }} "
                "{{ ngettext('%(num)s fox', '%(num)s foxes', 2) }} "
                "{% trans name=data %}\n  Is {{ name }} \n 100% it? {% endtrans %}"
            }
        ),
        autoescape=True,
        undefined=StrictUndefined,
    )
    speak(environment)
    context = {"thing": Words("<fox>"), "words": Words("A & {b}.", b="<b>"), "data": "<i>"}
    with speaking(MARKED):
        told = environment.get_template("t").render(context)
    assert told == ("⟦A ⟦&lt;fox&gt;⟧.⟧ ⟦A &amp; &lt;b&gt;.⟧ &lt;i&gt; ⟦2 foxes⟧ ⟦Is &lt;i&gt; 100% it?⟧")


def test_a_template_follows_the_language_though_it_is_compiled_once() -> None:
    environment = Environment(loader=DictLoader({"t": "{{ _('Sign out') }}"}), autoescape=True)
    speak(environment)
    told = []
    for tag in ("de", "en", "de"):
        with speaking(tag):
            told.append(environment.get_template("t").render())
    assert told == ["Abmelden", "Sign out", "Abmelden"]


def test_only_words_are_translated_never_data() -> None:
    with speaking(MARKED):
        assert translate("Sign out") == "Sign out"
        assert translated({"a": [Words("Sign out"), ("Sign out", 1, None)]}) == {
            "a": ["⟦Sign out⟧", ("Sign out", 1, None)]
        }
    assert translate(Words("Sign out"), "de") == "Abmelden"
    assert translate(Words("Sign out"), "tlh") == "Sign out"


def test_mistakes_in_a_form_are_kept_in_the_persons_language() -> None:
    drafts = Drafts(b"k" * 32, Cookies("sample", secure=False))
    request = Request({"type": "http", "method": "POST", "path": "/a", "query_string": b"", "headers": []})
    with speaking("de"):
        response = drafts.send_back(request, Draft({"name": "Sign out"}, {"name": Words("Sign out")}))
    cookie, mark = response.headers["set-cookie"].split(";")[0], response.headers["location"].partition("?")[2]
    scope = {**request.scope, "query_string": mark.encode(), "headers": [(b"cookie", cookie.encode())]}
    assert drafts.get(Request(scope)) == Draft({"name": "Sign out"}, {"name": "Abmelden"})


def test_dates_are_written_as_the_language_does() -> None:
    told = {}
    for tag in languages():
        with speaking(tag):
            told[tag] = utc_text("2026-11-03T22:30:05Z")
    assert told["en"] == "3 November 2026, 22:30 UTC"
    assert told["de"] == "3. November 2026, 22:30 UTC"
