"""Every page and letter renders in every state from what its template documents, and keeps the portal's promises."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

import pytest
from tests.support.letter_samples import FACTS, LETTERS, render_letter
from tests.support.markup import Page
from tests.support.page_sample_data import AUTH, ENROLL, KIT, LINK, STATIC, Sample, render
from tests.support.page_samples import pages

from keystead_kit.pages import utc_text, with_breaks, with_code

PAGES = pages()
TEXT_PAIRS = [
    *((ink, ground) for ink in ("text", "muted", "accent") for ground in ("bg", "surface", "sunken", "calm-soft")),
    *((ink, ground) for ink in ("bad", "good", "warn", "accent-strong") for ground in ("bg", "surface")),
    ("text", "bad-soft"),
    ("muted", "bad-soft"),
    ("accent", "bad-soft"),
    ("good", "good-soft"),
    ("warn", "warn-soft"),
    ("bad", "bad-soft"),
    ("on-accent", "accent"),
    ("on-accent", "accent-strong"),
]
EDGE_PAIRS = [(edge, ground) for edge in ("edge", "focus", "accent", "bad") for ground in ("bg", "surface")]


@pytest.fixture(params=PAGES, ids=lambda sample: sample.name)
def page(request: pytest.FixtureRequest) -> Page:
    sample: Sample = request.param
    return Page(render(sample))


def test_every_template_has_a_sample() -> None:
    written = {str(path.relative_to(folder)) for folder in (AUTH, ENROLL) for path in folder.rglob("*.html")}
    written -= {"certificate_card.html", "administrators/new_password.html"}
    written = {name for name in written if not name.startswith(("ways/", "console/"))}
    assert written | {"problem.html"} == {sample.template for sample in PAGES}
    assert len({sample.name for sample in PAGES}) == len(PAGES)


def test_every_template_documents_its_context() -> None:
    for path in (*KIT.glob("*"), *AUTH.rglob("*.html"), *ENROLL.rglob("*.html"), *LETTERS.glob("*")):
        assert path.read_text(encoding="utf-8").startswith("{#"), path


def test_nothing_is_inline_and_everything_is_ours(page: Page) -> None:
    for tag, attributes in page.elements:
        assert tag != "style"
        assert tag != "script" or attributes["src"].startswith("/static/")
        assert not [name for name in attributes if name == "style" or name.startswith("on")]
        assert not attributes.get("src", "/").startswith(("http", "data:", "//"))
    for attributes in page.all("link"):
        assert (STATIC / attributes["href"].removeprefix("/static/")).is_file()


def test_every_icon_exists(page: Page) -> None:
    sprite = set(re.findall(r'<symbol id="(\w+)"', (STATIC / "icons.svg").read_text(encoding="utf-8")))
    assert {attributes["href"].removeprefix("/static/icons.svg#") for attributes in page.all("use")} <= sprite


def test_every_control_has_a_label_and_ids_are_unique(page: Page) -> None:
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    labelled = {attributes["for"] for attributes in page.all("label")}
    controls = [c for c in page.all("input", "textarea", "select") if c.get("type") != "hidden"]
    assert {control["id"] for control in controls} == labelled
    for _, attributes in page.elements:
        named = f"{attributes.get('aria-describedby', '')} {attributes.get('aria-labelledby', '')}".split()
        assert set(named) <= set(ids)
        if attributes.get("href", "").startswith("#"):
            assert attributes["href"][1:] in ids


def test_every_post_form_carries_the_form_token_and_tells_it_nobody_else(page: Page) -> None:
    posts = [form for form in page.all("form") if form["method"] == "post" and "://" not in form["action"]]
    tokens = [field for field in page.all("input") if field.get("name") == "form_token"]
    assert len(posts) == len(tokens)


def test_headings_begin_once_and_skip_no_level(page: Page) -> None:
    assert page.headings.count(1) == 1
    reached = 0
    for level in page.headings:
        assert level <= max(reached, 1) + 1
        reached = level


def test_a_live_page_refreshes_itself_without_script_until_it_ends() -> None:
    for sample in PAGES:
        if sample.template == "order.html":
            text = render(sample)
            alive = not sample.context["progress"]["terminal"]
            assert ('<noscript><meta http-equiv="refresh" content="5"></noscript>' in text) == alive
            assert ("data-events=" in text) == alive
            assert ("/static/live.js" in text) == alive
            assert 'aria-live="polite"' in text


def test_the_launch_link_survives_escaping() -> None:
    (waiting,) = (sample for sample in PAGES if sample.name == "order-waiting")
    (live,) = (a for a in Page(render(waiting)).all("div") if a.get("id") == "live")
    assert live["data-launch"] == LINK


def test_one_mistake_is_told_beside_its_field_and_nowhere_else() -> None:
    (wrong,) = (sample for sample in PAGES if sample.name == "access-code-wrong")
    assert render(wrong).count(wrong.context["errors"]["access_code"]) == 1
    (several,) = (sample for sample in PAGES if sample.name == "request-ssl")
    assert "2 things need another look" in render(several)


def test_a_command_between_backticks_is_code_and_everything_else_stays_text() -> None:
    assert with_code("run `a <b>` & go") == "run <code>a &lt;b&gt;</code> &amp; go"
    (failed,) = (sample for sample in PAGES if sample.name == "order-failed")
    assert "The computer said: <bdi>“TPM_RC_VALUE from TPM2_Create: <code>rsa4096</code>" in render(failed)


def test_a_time_is_written_in_one_style_whatever_it_came_as() -> None:
    moment = datetime(2026, 11, 3, 23, 30, 5, tzinfo=timezone(timedelta(hours=1)))
    for given in (moment, moment.isoformat()):
        assert utc_text(given) == "3 November 2026, 22:30 UTC"
        assert utc_text(given, "date") == "3 November 2026"
        assert utc_text(given, "time") == "22:30:05 UTC"


def test_what_a_stranger_typed_stays_text() -> None:
    (sample,) = (sample for sample in PAGES if sample.name == "sign-in-error")
    hostile = '"><script>alert(1)</script>'
    context = sample.context | {"values": {"email": hostile}, "errors": {"email": hostile}}
    assert "<script>alert" not in render(Sample("hostile", AUTH, "sign_in.html", context))


def test_only_a_proven_key_is_said_to_be_safe_from_copying() -> None:
    said = {s.name: "It cannot be copied" in render(s) for s in PAGES if s.name.startswith("certificate-")}
    assert not said["certificate-software"] and not said["certificate-claimed"]
    assert said["certificate-listed"] and said["certificate-vendor"]


def test_static_files_are_small() -> None:
    sizes = {path.name: path.stat().st_size for path in STATIC.iterdir()}
    assert sizes["keystead.css"] < 20_000
    assert sizes["console.css"] < 20_000
    assert sum(size for name, size in sizes.items() if name not in {"console.css", "console.js"}) < 40_000


def _tokens(scheme: str) -> dict[str, str]:
    blocks = re.findall(r":root \{(.*?)\}", (STATIC / "keystead.css").read_text(encoding="utf-8"), re.DOTALL)
    light, dark = (dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block)) for block in blocks)
    return light if scheme == "light" else light | dark


def _luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(one: str, other: str) -> float:
    bright, dim = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast_of_text_and_edges(scheme: str) -> None:
    tokens = _tokens(scheme)
    low = {pair: round(_contrast(tokens[pair[0]], tokens[pair[1]]), 2) for pair in TEXT_PAIRS}
    assert {pair: ratio for pair, ratio in low.items() if ratio < 4.5} == {}
    edges = {pair: round(_contrast(tokens[pair[0]], tokens[pair[1]]), 2) for pair in EDGE_PAIRS}
    assert {pair: ratio for pair, ratio in edges.items() if ratio < 3} == {}


ASKED_FOR = {name for name in FACTS if name.startswith(("login_", "enrollment_", "order_"))} | {
    "certificate_installed",
    "certificate_issued",
}


@pytest.mark.parametrize("name", FACTS)
def test_a_letter_has_a_subject_one_button_and_no_tracking(name: str) -> None:
    fact = FACTS[name]
    text, html = (render_letter(name, suffix, fact) for suffix in ("txt", "html"))
    link = next(vars(fact)[each] for each in ("link", "portal_link", "form_url", "console_link") if each in vars(fact))
    subject, empty, *body = text.split("\n")
    assert re.fullmatch(r"Subject: \S.{10,78}", subject) and empty == "" and body[0]
    assert f"\n{link}\n" in text
    doubt = "Was it not you" if name in ASKED_FOR else "Did you not expect this"
    assert doubt in text and doubt in html
    assert max(len(text.encode()), len(html.encode())) < 30_000
    letter = Page(html)
    assert not letter.all("img", "script", "link", "style", "table")
    assert {a["href"] for a in letter.all("a")} == {link} | ({vars(fact).get("help_link")} - {None})
    assert f">{link}</a>" in html


def test_a_letter_escapes_html_and_keeps_its_subject_on_one_line() -> None:
    fact = FACTS["login_requested"].model_copy(update={"form_name": "A <b> & C\r\nBcc: eve@example.com"})
    assert "A &lt;b&gt; &amp; C" in render_letter("login_requested", "html", fact)
    text = render_letter("login_requested", "txt", fact)
    assert text.split("\n")[0] == "Subject: Your sign-in link for A <b> & C Bcc: eve@example.com"
    assert text.split("\n")[1] == ""


def test_long_words_may_break_at_their_signs_alone() -> None:
    assert with_breaks("marie.curie@lab.example.net") == "marie.<wbr>curie@<wbr>lab.<wbr>example.<wbr>net"
    assert with_breaks("ada@example.org or <b>") == "ada@example.org or &lt;b&gt;"
    assert with_breaks('"><script>alert(1)</script>').count("<") == with_breaks('"><script>alert(1)</script>').count(
        "<wbr>"
    )
