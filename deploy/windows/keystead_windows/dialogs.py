"""The installer's dialogs, as tables of Windows Installer ("User Interface Reference"): wixl has no word for them.

licence → folder → ready → progress → done; when it is installed already: remove, and whether the keys go too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

VISIBLE, ENABLED, SUNKEN, INTEGER = 0x1, 0x2, 0x4, 0x10
TRANSPARENT, NO_PREFIX = 0x10000, 0x20000
SHOWN = VISIBLE | ENABLED
MODAL, MODELESS, ERROR = 0x3 | 0x4, 0x1 | 0x4, 0x3 | 0x4 | 0x10000
Row = tuple[str | int, ...]

SCHEMA = {
    "Dialog": (
        "Dialog HCentering VCentering Width Height Attributes Title Control_First Control_Default Control_Cancel",
        "s72 i2 i2 i2 i2 I4 L128 s50 S50 S50",
        "Dialog",
    ),
    "Control": (
        "Dialog_ Control Type X Y Width Height Attributes Property Text Control_Next Help",
        "s72 s50 s20 i2 i2 i2 i2 I4 S50 L0 S50 L50",
        "Dialog_ Control",
    ),
    "ControlEvent": (
        "Dialog_ Control_ Event Argument Condition Ordering",
        "s72 s50 s50 s255 S255 I2",
        "Dialog_ Control_ Event Argument Condition",
    ),
    "ControlCondition": ("Dialog_ Control_ Action Condition", "s72 s50 s50 s255", "Dialog_ Control_ Action Condition"),
    "EventMapping": ("Dialog_ Control_ Event Attribute", "s72 s50 s50 s50", "Dialog_ Control_ Event"),
    "CheckBox": ("Property Value", "s72 S64", "Property"),
    "TextStyle": ("TextStyle FaceName Size Color StyleBits", "s72 s32 i2 I4 I2", "TextStyle"),
    "UIText": ("Key Text", "s72 L255", "Key"),
}


@dataclass
class Control:
    """One control. `events`: (event, argument, condition). `unless`: when it is disabled."""

    name: str
    kind: str
    place: tuple[int, int, int, int]
    text: str = ""
    property: str = ""
    attributes: int = SHOWN
    events: tuple[tuple[str, str, str], ...] = ()
    unless: str = ""
    shows: tuple[tuple[str, str], ...] = ()


@dataclass
class Dialog:
    """One dialog; `controls` in the order of the Tab key."""

    name: str
    title: str
    text: str
    controls: list[Control] = field(default_factory=list)
    attributes: int = MODAL
    width: int = 370
    height: int = 270


def tables(licence: str) -> dict[str, str]:
    """Each table by its name, as msibuild reads them (Windows Installer's archive format)."""
    rows: dict[str, list[Row]] = {name: [] for name in SCHEMA}
    for dialog in _dialogs(_rtf(licence)):
        _add(dialog, rows)
    rows["CheckBox"] = [("ACCEPTED", "1"), ("REMOVEKEYS", "1")]
    rows["TextStyle"] = [("Plain", "Tahoma", 8, "", ""), ("Title", "Tahoma", 12, "", 1)]
    rows["UIText"] = [("MenuLocal", "Will be installed"), ("SelChildCostPos", ""), ("bytes", "bytes"), ("KB", "KB")]
    return {name: _archive(name, found) for name, found in rows.items()}


def _dialogs(licence: str) -> Iterator[Dialog]:
    yield Dialog(
        "LicenceDlg",
        "Keystead Agent",
        "Read the terms. They apply to you once you install the program.",
        [
            Control("Licence", "ScrollableText", (20, 60, 330, 130), licence, attributes=SHOWN | SUNKEN),
            Control("Accept", "CheckBox", (20, 200, 330, 17), "I &accept these terms", "ACCEPTED"),
            _button(236, "Next", "&Next", ("NewDialog", "FolderDlg", "ACCEPTED"), unless='ACCEPTED <> "1"'),
            _cancel(),
        ],
    )
    yield Dialog(
        "FolderDlg",
        "Where to install",
        "The program goes into this folder. Keys and certificates are kept by Windows.",
        [
            Control("Folder", "PathEdit", (20, 90, 260, 18), "", "INSTALLDIR"),
            Control("Label", "Text", (20, 75, 260, 12), "&Folder:", attributes=SHOWN | TRANSPARENT),
            _button(290, "Browse", "&Browse...", ("SpawnDialog", "BrowseDlg", "1"), y=90),
            _button(180, "Back", "B&ack", ("NewDialog", "LicenceDlg", "1")),
            Control(
                "Next",
                "PushButton",
                (236, 243, 56, 17),
                "&Install",
                events=(("SetTargetPath", "INSTALLDIR", "1"), ("EndDialog", "Return", "1")),
            ),
            _cancel(),
        ],
    )
    yield Dialog(
        "BrowseDlg",
        "Choose a folder",
        "",
        [
            Control("Combo", "DirectoryCombo", (20, 55, 240, 80), "", "INSTALLDIR", SHOWN | 0x000B0000),
            Control("Up", "PushButton", (270, 55, 35, 17), "&Up", events=(("DirectoryListUp", "0", "1"),)),
            Control("New", "PushButton", (310, 55, 40, 17), "&New", events=(("DirectoryListNew", "0", "1"),)),
            Control("List", "DirectoryList", (20, 80, 330, 110), "", "INSTALLDIR", SHOWN | SUNKEN),
            Control("Path", "PathEdit", (20, 205, 330, 18), "", "INSTALLDIR"),
            Control(
                "OK",
                "PushButton",
                (236, 243, 56, 17),
                "OK",
                events=(("SetTargetPath", "INSTALLDIR", "1"), ("EndDialog", "Return", "1")),
            ),
            Control(
                "Cancel",
                "PushButton",
                (304, 243, 56, 17),
                "Cancel",
                events=(("Reset", "0", "1"), ("EndDialog", "Return", "1")),
            ),
        ],
    )
    yield Dialog(
        "MaintenanceDlg",
        "Keystead Agent is installed",
        "Remove takes away the program, its service and the keystead: links. Certificates stay in the stores of "
        "Windows, and their keys in the TPM, unless you say otherwise:",
        [
            Control(
                "Keys",
                "CheckBox",
                (20, 100, 330, 17),
                "Remove this computer's &keys too: its certificates are useless then",
                "REMOVEKEYS",
            ),
            _button(236, "Next", "&Remove", ("Remove", "ALL", "1"), ("EndDialog", "Return", "1")),
            _cancel(),
        ],
    )
    yield Dialog(
        "ProgressDlg",
        "Keystead Agent",
        "This takes a moment.",
        [
            Control("Action", "Text", (20, 100, 330, 12), shows=(("ActionText", "Text"),)),
            Control("Bar", "ProgressBar", (20, 115, 330, 10), "Progress", attributes=0x10001,
                    shows=(("SetProgress", "Progress"),)),
            _cancel(),
        ],
        MODELESS,
    )  # fmt: skip
    for name, title, text in (
        ("ExitDlg", "Done", "Open the enrollment page again to get a certificate. In a terminal, keystead-agent doctor "
         "says whether this computer is ready."),
        ("UserExitDlg", "Stopped", "Nothing on this computer was changed. Start the installer again when you like."),
        ("FatalErrorDlg", "It did not work", "Nothing on this computer was changed. msiexec /i FILE /l*v LOG writes "
         "down why: whoever gave you the program can read it."),
    ):  # fmt: skip
        yield Dialog(name, title, text, [_button(304, "OK", "&Finish", ("EndDialog", "Return", "1"))])
    yield Dialog(
        "CancelDlg",
        "Stop?",
        "",
        [
            _button(70, "No", "&Go on", ("EndDialog", "Return", "1"), y=60),
            _button(134, "Yes", "&Stop", ("EndDialog", "Exit", "1"), y=60),
        ],
        width=260,
        height=90,
    )
    answers = {"A": "Abort", "C": "Cancel", "I": "Ignore", "N": "No", "O": "OK", "R": "Retry", "Y": "Yes"}
    yield Dialog(
        "ErrorDlg",
        "Keystead Agent",
        "",
        [
            Control("ErrorText", "Text", (15, 35, 230, 50), "", attributes=SHOWN | TRANSPARENT | NO_PREFIX),
            *(_button(100, letter, word, ("EndDialog", f"Error{word}", "1"), y=90) for letter, word in answers.items()),
        ],
        ERROR,
        260,
        115,
    )


def _button(x: int, name: str, text: str, *events: tuple[str, str, str], y: int = 243, unless: str = "") -> Control:
    return Control(name, "PushButton", (x, y, 56, 17), text, events=events, unless=unless)


def _cancel() -> Control:
    return _button(304, "Cancel", "Cancel", ("SpawnDialog", "CancelDlg", "1"))


def _add(dialog: Dialog, rows: dict[str, list[Row]]) -> None:
    order = [control.name for control in dialog.controls]
    buttons = [control.name for control in dialog.controls if control.kind == "PushButton"]
    default = next((name for name in ("Next", "OK", "No") if name in buttons), buttons[0])
    cancel = next((name for name in ("Cancel", "No", "OK") if name in buttons), buttons[0])
    size = (dialog.width, dialog.height)
    first = "ErrorText" if dialog.name == "ErrorDlg" else order[0]
    rows["Dialog"].append((dialog.name, 50, 50, *size, dialog.attributes, "[ProductName]", first, default, cancel))
    texts = (("DlgTitle", dialog.title, 15, 18, "Title"), ("DlgText", dialog.text, 36, 36, "Plain"))
    for name, text, y, height, style in texts if dialog.name != "ErrorDlg" else ():
        place = (15, y, dialog.width - 30, height)
        styled = f"{{\\{style}}}{text}"
        rows["Control"].append((dialog.name, name, "Text", *place, SHOWN | TRANSPARENT | NO_PREFIX, "", styled, "", ""))
    for index, control in enumerate(dialog.controls):
        following = order[(index + 1) % len(order)]
        rows["Control"].append(
            (
                dialog.name,
                control.name,
                control.kind,
                *control.place,
                control.attributes,
                control.property,
                control.text,
                following,
                "",
            )
        )
        for number, (event, argument, condition) in enumerate(control.events, 1):
            rows["ControlEvent"].append((dialog.name, control.name, event, argument, condition, number))
        if control.unless:
            rows["ControlCondition"].append((dialog.name, control.name, "Disable", control.unless))
            rows["ControlCondition"].append((dialog.name, control.name, "Enable", f"NOT ({control.unless})"))
        rows["EventMapping"] += [(dialog.name, control.name, event, attribute) for event, attribute in control.shows]


def _archive(name: str, rows: list[Row]) -> str:
    columns, types, keys = SCHEMA[name]
    lines = [columns.split(), types.split(), [name, *keys.split()], *([str(cell) for cell in row] for row in rows)]
    return "\r\n".join("\t".join(line) for line in lines) + "\r\n"


def _rtf(text: str) -> str:
    """`text` as Rich Text in one line."""
    escaped = text.strip().replace("\\", r"\\").replace("{", r"\{").replace("}", r"\}")
    if not escaped.isascii():
        raise ValueError("the licence text has signs that need a code page")
    paragraphs = escaped.replace("\n\n", r"\par\par ").replace("\n", " ")
    return r"{\rtf1\ansi\deff0{\fonttbl{\f0 Tahoma;}}\fs18 " + paragraphs + "}"
