"""The console's places, in the field's order and words. The words are in `templates/console/nav.html`."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from keystead_enroll.web.console.widgets import NavGroup, NavItem

HOME = "/console"
PLACES: Mapping[str, Mapping[str, str]] = {
    "": {"dashboard": HOME, "certificates": f"{HOME}/certificates"},
    "enrollment": {
        "forms": f"{HOME}/forms",
        "requests": f"{HOME}/requests",
        "jobs": f"{HOME}/bulk-jobs",
    },
    "inventory": {
        "devices": f"{HOME}/devices",
        "tpms": f"{HOME}/endorsement-keys",
        "persons": f"{HOME}/persons",
        "organizations": f"{HOME}/organizations",
    },
    "policy": {
        "profiles": f"{HOME}/profiles",
        "connectors": f"{HOME}/connectors",
        "providers": f"{HOME}/identity-providers",
        "terms": f"{HOME}/licence-terms",
    },
    "administration": {
        "audit": f"{HOME}/audit",
        "administrators": f"{HOME}/administrators",
        "tokens": f"{HOME}/tokens",
    },
}
"""Group → place → address."""
LATER = frozenset({"connectors"})
"""Places that are not there yet."""


def navigation(
    current: str, hidden: Collection[str] = LATER, counts: Mapping[str, int] | None = None
) -> tuple[NavGroup, ...]:
    """The groups, `current` marked, without `hidden` places; `counts`: how many things wait at a place."""
    waiting = counts or {}
    groups = (
        NavGroup(
            group,
            tuple(
                NavItem(key, url, key == current, waiting.get(key, 0))
                for key, url in places.items()
                if key not in hidden
            ),
        )
        for group, places in PLACES.items()
    )
    return tuple(group for group in groups if group.items)
