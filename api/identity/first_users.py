"""The command that makes a new cloud's domain, projects, roles and first users.

A cloud begins once: sending it again changes nothing, whatever the passwords.
"""

from __future__ import annotations

from sqlalchemy import Engine

from api.identity.directory import new_id
from api.identity.passwords import Passwords
from commands.identity.bootstrap import DOMAIN_ID, PROJECTS, ROLES, Bootstrap, BootstrapUser
from projections.identity.accounts import Named, account

KEY = DOMAIN_ID
"""Where the command is decided."""


def first_users(engine: Engine, admin_password: str, demo_password: str | None) -> Bootstrap:
    """The command; ``engine`` reads the projections, which must have caught up with the log."""
    passwords = Passwords()
    return Bootstrap(
        admin=_user(engine, passwords, "admin", admin_password),
        demo=None if demo_password is None else _user(engine, passwords, "demo", demo_password),
        role_ids={name: new_id() for name in ROLES},
        project_ids={name: new_id() for name in PROJECTS},
    )


def _user(engine: Engine, passwords: Passwords, name: str, password: str) -> BootstrapUser:
    """The user as it is, or as it will be made: a password that fits keeps its hash."""
    known = account(engine, Named(name=name, domain_id=DOMAIN_ID))
    kept = known.password_hash if known else None
    if kept is None or not passwords.verify(kept, password):
        kept = passwords.hash(password)
    return BootstrapUser(
        user_id=known.user_id if known else new_id(), user_name=name, password_hash=kept
    )
