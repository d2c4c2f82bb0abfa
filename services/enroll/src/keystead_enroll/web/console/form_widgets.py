"""Forms and confirmations of the console: the contexts of `console/form.html` and `console/confirm.html`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from keystead_enroll.web.console.cells import Cell, Pairs
from keystead_enroll.web.console.widgets import Action, Crumb, Fact, Tab


@dataclass(frozen=True)
class Option:
    """Something to choose."""

    value: str
    label: str
    note: str = ""


@dataclass(frozen=True)
class FieldButton:
    """A submit button beside a field: it sends the whole form with `name`=`value`, for the server to fill in the field
    and show the form again. Works without script."""

    name: str
    label: str
    value: str = "1"


@dataclass(frozen=True)
class FormField:
    """A question. Several values go into a textarea, one a line, or are `checks`.

    `more`: further attributes of the input (autocomplete, maxlength, spellcheck …). `copy`: a text made from the value,
    such as the whole address, with a button that copies it.
    """

    name: str
    label: str
    kind: Literal[
        "text", "textarea", "number", "select", "radios", "checks", "email", "url", "date", "file", "hidden", "password"
    ] = "text"
    hint: str = ""
    required: bool = True
    marked: bool = True
    """Whether it is called optional where it is not required: not so where another answer decides."""
    options: tuple[Option, ...] = ()
    rows: int = 4
    code: bool = False
    """In fixed width: patterns, domains, codes."""
    short: bool = False
    """As narrow as a number or a name."""
    more: Mapping[str, str | int] = field(default_factory=dict)
    button: FieldButton | None = None
    copy: str = ""


@dataclass(frozen=True)
class Fieldset:
    """Questions that belong together, below what is to be known before (`facts`)."""

    fields: tuple[FormField, ...]
    legend: str = ""
    intro: str = ""
    facts: tuple[Fact, ...] = ()


@dataclass(frozen=True)
class Mistake:
    """Something that is wrong, and the question that it stands beside, if it is about one."""

    sentence: str
    field: str = ""
    label: str = ""


@dataclass(frozen=True)
class FormPage:
    """`console/form.html`: POST to `action`; GET where nothing is done yet.

    `values`: what was typed, or what is stored, by field name; of `checks` the values that are checked. `errors`: field
    name → sentence; "form" stands for the form as a whole. `danger` leads to the page that removes the thing.
    """

    template: ClassVar[str] = "console/form.html"
    title: str
    action: str
    fieldsets: tuple[Fieldset, ...]
    submit: str
    cancel_url: str
    values: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)
    intro: str = ""
    subtitle: str = ""
    tag: Cell | None = None
    crumbs: tuple[Crumb, ...] = ()
    tabs: tuple[Tab, ...] = ()
    danger: Action | None = None
    method: Literal["post", "get"] = "post"

    @property
    def mistakes(self) -> tuple[Mistake, ...]:
        """What is wrong, in the order of the questions."""
        asked = [each for fieldset in self.fieldsets for each in fieldset.fields if each.kind != "hidden"]
        here = [Mistake(self.errors[each.name], each.name, each.label) for each in asked if each.name in self.errors]
        named = {mistake.field for mistake in here}
        return (*here, *(Mistake(why) for name, why in self.errors.items() if name not in named))

    @property
    def multipart(self) -> bool:
        """Whether a file goes with it."""
        return any(each.kind == "file" for fieldset in self.fieldsets for each in fieldset.fields)


@dataclass(frozen=True)
class ConfirmPage:
    """`console/confirm.html`: asks once before something that cannot be undone. POST to `action` with `hidden`, the
    `fields` (a reason, for example), and as `typed_word` what was typed where that is asked: above ten objects."""

    template: ClassVar[str] = "console/confirm.html"
    title: str
    """The verb with its objects: "Revoke 12 certificates"."""
    verb: str
    """The button; the same words."""
    action: str
    cancel_url: str
    question: str = ""
    consequences: tuple[str, ...] = ()
    objects: tuple[Cell, ...] = ()
    """What it happens to."""
    typed_word: str | None = None
    fields: tuple[FormField, ...] = ()
    hidden: Pairs = ()
    values: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)
    crumbs: tuple[Crumb, ...] = ()
    danger: bool = True
    shown: str = ""
    """A text to read before: line breaks are kept."""
    buttons: tuple[FieldButton, ...] = ()
    """Beside the verb's: they send the same to where they say."""
