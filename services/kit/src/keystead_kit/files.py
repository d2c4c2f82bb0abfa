"""What can be said of a file before it is written."""

from __future__ import annotations

import os
from pathlib import Path


def folder_mistake(folder: Path) -> str:
    """Why no file can be made in `folder`, which is made if it is not there; empty if nothing speaks against it."""
    try:
        there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
        is_folder = there.is_dir()
    except OSError as error:
        return f"{folder} cannot be used: {error.strerror}"
    if not is_folder:
        return f"{there} is no folder"
    return "" if os.access(there, os.W_OK | os.X_OK) else f"{there} cannot be written by this user"


def file_mistake(file: Path) -> str:
    """Why `file` cannot be made; empty if nothing speaks against it. That it is there already does not."""
    try:
        if file.is_dir():
            return f"{file} is a folder"
    except OSError as error:
        return f"{file} cannot be used: {error.strerror}"
    return folder_mistake(file.parent)
