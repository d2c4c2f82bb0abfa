"""Which entries of the system's certificate stores are this agent's: noted before they are made, struck off after they
are gone. What is not on the list is somebody else's and stays."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from keystead_agent.errors import StoreUnwritable
from keystead_agent.files import private_directory, unwritable, write_file

FILE = "entries.json"


class Entry(BaseModel):
    """One certificate in one store. SHA-1 is what the store finds it by; SHA-256 says that it is the one."""

    model_config = ConfigDict(frozen=True)

    location: Literal["user", "machine"]
    store: Literal["My", "CA", "Root"]
    sha1: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


_ENTRIES: TypeAdapter[list[Entry]] = TypeAdapter(list[Entry])


class MadeEntries:
    """The list below `state_dir`. Callers hold the lock of `Machine.working`."""

    def __init__(self, state_dir: Path) -> None:
        self._state_dir = state_dir
        self._file = state_dir / FILE

    def all(self) -> set[Entry]:
        """The entries that there may be. Raises StoreUnwritable, also if the list is damaged."""
        with unwritable(self._file):
            try:
                return set(_ENTRIES.validate_json(self._file.read_bytes()))
            except FileNotFoundError:
                return set()
            except ValidationError as error:
                raise StoreUnwritable(
                    f"{self._file} is damaged, or a newer keystead-agent wrote it",
                    "Update the agent, or restore the file from a backup. Without it the agent no longer takes out of "
                    "the certificate stores what it put in.",
                ) from error

    def note(self, entries: set[Entry]) -> None:
        """Puts `entries` on the list, durable on return. Raises StoreUnwritable."""
        known = self.all()
        if not entries <= known:
            self._save(known | entries)

    def strike(self, entry: Entry) -> None:
        """Takes `entry` off the list. Raises StoreUnwritable."""
        self._save(self.all() - {entry})

    def _save(self, entries: set[Entry]) -> None:
        private_directory(self._state_dir)
        ordered = sorted(entries, key=lambda entry: (entry.location, entry.store, entry.sha256))
        write_file(self._file, _ENTRIES.dump_json(ordered, indent=2))
