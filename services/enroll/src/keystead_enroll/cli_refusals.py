"""How the commands on the server itself end when something is wrong."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from typing import Any

from sqlalchemy.exc import OperationalError, ProgrammingError

from keystead_contracts.refusals import Refusal
from keystead_enroll.cli_output import show_error, show_mistakes
from keystead_enroll.domain.administration_refusals import InputRefused
from keystead_enroll.domain.errors import CaRefused, EkRootsUnusable
from keystead_enroll.domain.refusals import DeclarationInvalid

EXIT_FAILED, EXIT_USAGE, EXIT_REFUSED, EXIT_UNREACHABLE = 1, 2, 3, 4
DATABASE_ADVICE = (
    "See whether it runs and KEYSTEAD_ENROLL_DATABASE_URL names it; `keystead-enroll migrate` makes its tables."
)


def advises(command: Callable[..., None]) -> Callable[..., None]:
    """Writes a refusal as `error:` and `hint:` lines and exits as `EXIT_CODES` says."""

    @wraps(command)
    def advised(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except DeclarationInvalid as refusal:
            show_mistakes(str(kwargs["file"]), refusal)
            sys.exit(EXIT_USAGE)
        except (CaRefused, EkRootsUnusable) as refusal:
            show_error(refusal.detail, refusal.advice)
            sys.exit(EXIT_FAILED)
        except InputRefused as refusal:
            for field, reason in refusal.fields.items():
                show_error(f"{field}: {reason}", "")
            sys.exit(EXIT_USAGE)
        except Refusal as refusal:
            show_error(refusal.detail, refusal.advice)
            sys.exit(EXIT_REFUSED)
        except (OperationalError, ProgrammingError) as error:
            reason = str(error.orig).strip().splitlines()[0]
            show_error(f"the database cannot be used: {reason}", DATABASE_ADVICE)
            sys.exit(EXIT_UNREACHABLE)

    return advised


@contextmanager
def named_as_given(arguments: Mapping[str, str]) -> Iterator[None]:
    """Has a refused input name the command's `arguments`, field name → argument, as they were given."""
    try:
        yield
    except InputRefused as refusal:
        raise InputRefused({arguments.get(name, name): told for name, told in refusal.fields.items()}) from refusal


def refuse(mistakes: Mapping[str, str]) -> None:
    """Raises InputRefused if there are mistakes: argument → what is wrong with it, empty if nothing."""
    told = {argument: mistake for argument, mistake in mistakes.items() if mistake}
    if told:
        raise InputRefused(told)
