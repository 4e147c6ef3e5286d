"""Who may do what with images: Glance's policy rules with its new defaults, as one table.

A rule is checked against the project that owns the image. Whether the caller can see the image
at all is checked before (``projections.image.queries.find_image``): who cannot gets 404, who can
see but not do gets 403. Source: Glance's policy documentation.
"""

from __future__ import annotations

import falcon

from api.caller import Caller
from api.policy import ADMIN, MEMBER, Check

RULES: dict[str, Check] = {
    "add_image": MEMBER,
    "modify_image": MEMBER,
    "delete_image": MEMBER,
    "upload_image": MEMBER,
    "import_image": MEMBER,
    "deactivate": MEMBER,
    "reactivate": MEMBER,
    "communitize_image": MEMBER,
    "publicize_image": ADMIN,
    "change_owner": ADMIN,
    "download_deactivated": ADMIN,
    "add_member": MEMBER,
    "delete_member": MEMBER,
    "modify_member": MEMBER,
}
"""``modify_member`` is checked against the member project, all others against the owner."""


def allowed(caller: Caller, rule: str, project_id: str | None) -> bool:
    """Whether ``rule`` lets ``caller`` act on what ``project_id`` owns. Callers without a project
    (system and domain scope) may read what is public, nothing more."""
    if caller.system or caller.project_id is None:
        return False
    return RULES[rule](caller, project_id, None)


def enforce(caller: Caller, rule: str, project_id: str | None) -> None:
    """As ``allowed``. Raises 403."""
    if not allowed(caller, rule, project_id):
        raise falcon.HTTPForbidden(description=f"You are not authorized to complete {rule} action.")
