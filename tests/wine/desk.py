"""Run by CPython for Windows: what a browser does with a link, and a person with the windows that then come.

desk.py BUTTON TITLE TIMES LINK    runs the command that the scheme is registered with, TIMES at once, presses BUTTON
                                   in every window of TITLE, and writes the programs' exit codes as JSON
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
import winreg

import win32con
import win32gui

COMMAND = r"keystead\shell\open\command"


def main(button: str, title: str, times: str, link: str) -> None:
    """Ends when all programs have."""
    with winreg.OpenKey(winreg.HKEY_CLASSES_ROOT, COMMAND) as key:
        command = winreg.QueryValueEx(key, "")[0].replace("%1", link)
    programs = [subprocess.Popen(command) for _ in range(int(times))]
    while any(program.poll() is None for program in programs):
        win32gui.EnumWindows(lambda window, _: press(window, title, int(button)), None)
        time.sleep(0.3)
    print(json.dumps([program.returncode for program in programs]))


def press(window: int, title: str, button: int) -> bool:
    """Goes on with the next window."""
    if win32gui.GetWindowText(window) == title:
        for each in (button, win32con.IDOK):  # the one that the window does not have does nothing
            win32gui.PostMessage(window, win32con.WM_COMMAND, each, 0)
    return True


main(*sys.argv[1:])
