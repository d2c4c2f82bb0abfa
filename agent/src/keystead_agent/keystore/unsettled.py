"""Which keys that Windows keeps are to go, so that none stays without a use and none in use goes.

A key of the TPM's own software stack is a file, and goes with its folder. A key that Windows keeps outlives the folder
that names it. So whoever changes the folders does it within `changing`: first a list becomes durable of every key that
a folder names, and of each that is made meanwhile; afterwards whatever on the list is named by no folder is removed.
What a crash left of a list is done with the next one. The folders alone decide: a key is in use if a folder names it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from keystead_agent.errors import KeyLost, KeyStoreError
from keystead_agent.files import TEMPORARY_PREFIX, private_directory, unwritable, write_file
from keystead_agent.keystore.persisted import KEY_FILES, PersistedKey

LIST_FILE = "keys.json"
_OLD = ".old-"
_keys = TypeAdapter(dict[str, PersistedKey])
_log = logging.getLogger(__name__)


class UnsettledKeys:
    """The list below `state_dir`. Callers hold the lock of `Machine.working`. `remove` removes a key from Windows, and
    does nothing if it is not there."""

    def __init__(self, state_dir: Path, remove: Callable[[PersistedKey], None]) -> None:
        self._state_dir = state_dir
        self._file = state_dir / LIST_FILE
        self._remove = remove
        self._listed: dict[str, PersistedKey] | None = None

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Around whatever may make keys or change folders; the folders are tidy. Raises StoreUnwritable. A key that
        cannot be removed stays on the list for the next time."""
        if self._listed is not None:
            yield
            return
        self._listed = self._read() | self._named()[0]
        try:
            self._save()
        except BaseException:
            self._listed = None  # nothing was begun
            raise
        try:
            yield
        finally:
            self._settle()

    def announce(self, key: PersistedKey) -> None:
        """Puts a key on the list that is about to be made, durable on return."""
        if self._listed is not None:
            self._listed[key.name] = key
            self._save()

    def _settle(self) -> None:
        listed, self._listed = self._listed or {}, None
        named, all_read = self._named()
        unnamed = {name: key for name, key in listed.items() if name not in named}
        left = {name: key for name, key in unnamed.items() if not (all_read and self._removed(key))}
        with unwritable(self._file):
            if left:
                write_file(self._file, _keys.dump_json(left, indent=2))
            else:
                self._file.unlink(missing_ok=True)

    def _removed(self, key: PersistedKey) -> bool:
        try:
            self._remove(key)
        except KeyStoreError as error:
            _log.warning("key_not_removed name=%s reason=%s", key.name, error.detail)
            return False
        return True

    def _save(self) -> None:
        private_directory(self._state_dir)
        write_file(self._file, _keys.dump_json(self._listed or {}, indent=2))

    def _read(self) -> dict[str, PersistedKey]:
        """The list of before. One that is damaged is kept under another name: what it says is in doubt."""
        with unwritable(self._file):
            try:
                return _keys.validate_json(self._file.read_bytes())
            except FileNotFoundError:
                return {}
            except ValidationError:
                self._file.replace(self._file.with_suffix(".damaged"))
                return {}

    def _named(self) -> tuple[dict[str, PersistedKey], bool]:
        """The keys that folders name, by name, and whether all could be read. If not, none may go: it could be the one
        that is in use there."""
        found: dict[str, PersistedKey] = {}
        all_read = True
        for path in self._key_files():
            try:
                key = PersistedKey.read(path.read_bytes())
                found[key.name] = key
            except (OSError, KeyLost) as error:
                _log.warning("key_file_unreadable path=%s reason=%s", path, error)
                all_read = False
        return found, all_read

    def _key_files(self) -> Iterable[Path]:
        """Of finished folders, and of those that an interrupted replacement put aside and that will be put back."""
        for name in KEY_FILES.values():
            for path in self._state_dir.glob(f"*/*/{name}"):
                folder = path.parent
                put_aside = folder.name.startswith(_OLD)
                replaced = put_aside and folder.with_name(folder.name.removeprefix(_OLD)).exists()
                if not folder.name.startswith(TEMPORARY_PREFIX) and not replaced:
                    yield path
