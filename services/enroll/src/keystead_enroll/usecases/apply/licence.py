"""The licence terms of a declared set-up."""

from __future__ import annotations

from keystead_enroll.domain.declaration import Declaration
from keystead_enroll.domain.enrollment import LicenceTerms
from keystead_enroll.usecases.apply.work import Change, Work


def apply_licence(work: Work, declaration: Declaration) -> None:
    """Makes the declared licence terms the current ones."""
    wanted = declaration.licence
    if wanted is None:
        return
    current = work.tx.licence()
    known = work.tx.licence_version(wanted.version)
    if known is not None and known.text != wanted.text:
        work.mistake(
            wanted.line("text"),
            f"licence “{wanted.version}”: persons accepted another text under this version; give it a new one",
        )
        return
    if current is not None and current.version != wanted.version:
        current.current = False
        work.tx.flush()  # before another one is
        work.tell(Change.WITHDRAWN, f"licence “{current.version}”")
    fresh = LicenceTerms(wanted.version, wanted.text, published_at=work.now)
    work.put(f"licence “{wanted.version}”", known, fresh, ("current",))
