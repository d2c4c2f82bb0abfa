"""Column types of enroll's tables, and the metadata that they share."""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import Any

from sqlalchemy import JSON, Dialect, SmallInteger, String
from sqlalchemy.ext.mutable import MutableDict, MutableList
from sqlalchemy.types import TypeDecorator

from keystead_kit.db import new_metadata

metadata = new_metadata()
ID = String(32)
TEXTS = MutableList.as_mutable(JSON())
OBJECT = MutableDict.as_mutable(JSON())


class EnumText(TypeDecorator[StrEnum]):
    """A StrEnum as text, without a database type that a migration would have to change."""

    impl = String(32)
    cache_ok = True

    def __init__(self, enum: type[StrEnum]) -> None:
        super().__init__()
        self.enum = enum

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        """To the database."""
        return None if value is None else self.enum(value).value

    def process_result_value(self, value: Any, dialect: Dialect) -> StrEnum | None:
        """From the database."""
        return None if value is None else self.enum(value)


class EnumNumber(TypeDecorator[IntEnum]):
    """An IntEnum as its number, so that it can be sorted by."""

    impl = SmallInteger
    cache_ok = True

    def __init__(self, enum: type[IntEnum]) -> None:
        super().__init__()
        self.enum = enum

    def process_bind_param(self, value: Any, dialect: Dialect) -> int | None:
        """To the database."""
        return None if value is None else self.enum(value).value

    def process_result_value(self, value: Any, dialect: Dialect) -> IntEnum | None:
        """From the database."""
        return None if value is None else self.enum(value)


class EnumList(TypeDecorator[list[StrEnum]]):
    """A list of StrEnum values as JSON."""

    impl = JSON
    cache_ok = True

    def __init__(self, enum: type[StrEnum]) -> None:
        super().__init__()
        self.enum = enum

    def process_bind_param(self, value: Any, dialect: Dialect) -> list[str] | None:
        """To the database."""
        return None if value is None else [self.enum(item).value for item in value]

    def process_result_value(self, value: Any, dialect: Dialect) -> list[StrEnum] | None:
        """From the database."""
        return None if value is None else [self.enum(item) for item in value]
