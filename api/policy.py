"""Who may do what: Nova's policy rules with its new defaults, as one table.

A rule is a check of the caller's roles against the project (or user) that owns the target.
Every rule is for project-scoped tokens: system- and domain-scoped callers are refused whatever
their role (``enforce_scope``). Keystone has expanded implied roles already, so admin, manager,
member and reader need no order here.

Source: Nova's API reference and policy documentation; ``READER`` is "project reader or admin" etc.
"""

from __future__ import annotations

from collections.abc import Callable

import falcon

from api.caller import Caller

Check = Callable[[Caller, str | None, str | None], bool]
"""``check(caller, owning project, owning user)``."""


def _role_in_project(role: str) -> Check:
    def check(caller: Caller, project_id: str | None, user_id: str | None) -> bool:
        if "admin" in caller.roles:
            return True
        return role in caller.roles and caller.project_id == project_id

    return check


def _role(role: str) -> Check:
    def check(caller: Caller, project_id: str | None, user_id: str | None) -> bool:
        return role in caller.roles or "admin" in caller.roles

    return check


def _owner(caller: Caller, project_id: str | None, user_id: str | None) -> bool:
    return "admin" in caller.roles or caller.user_id == user_id


ADMIN = _role("admin")
SERVICE = _role("service")
MANAGER = _role_in_project("manager")
MEMBER = _role_in_project("member")
READER = _role_in_project("reader")
OWNER: Check = _owner


def ANYONE(caller: Caller, project_id: str | None, user_id: str | None) -> bool:
    """Every authenticated caller."""
    return True


def NOBODY(caller: Caller, project_id: str | None, user_id: str | None) -> bool:
    """No caller at all."""
    return False


RULES: dict[str, Check] = {
    "os_compute_api:os-admin-actions:reset_state": ADMIN,
    "os_compute_api:os-admin-actions:inject_network_info": ADMIN,
    "os_compute_api:os-admin-password": MEMBER,
    "os_compute_api:os-aggregates:set_metadata": ADMIN,
    "os_compute_api:os-aggregates:add_host": ADMIN,
    "os_compute_api:os-aggregates:create": ADMIN,
    "os_compute_api:os-aggregates:remove_host": ADMIN,
    "os_compute_api:os-aggregates:update": ADMIN,
    "os_compute_api:os-aggregates:index": ADMIN,
    "os_compute_api:os-aggregates:delete": ADMIN,
    "os_compute_api:os-aggregates:show": ADMIN,
    "compute:aggregates:images": ADMIN,
    "os_compute_api:os-assisted-volume-snapshots:create": SERVICE,
    "os_compute_api:os-assisted-volume-snapshots:delete": SERVICE,
    "os_compute_api:os-attach-interfaces:list": READER,
    "os_compute_api:os-attach-interfaces:show": READER,
    "os_compute_api:os-attach-interfaces:create": MEMBER,
    "os_compute_api:os-attach-interfaces:delete": MEMBER,
    "os_compute_api:os-availability-zone:list": ANYONE,
    "os_compute_api:os-availability-zone:detail": ADMIN,
    "os_compute_api:os-baremetal-nodes:list": ADMIN,
    "os_compute_api:os-baremetal-nodes:show": ADMIN,
    "os_compute_api:os-console-auth-tokens": ADMIN,
    "os_compute_api:os-console-output": MEMBER,
    "os_compute_api:os-create-backup": MEMBER,
    "os_compute_api:os-deferred-delete:restore": MEMBER,
    "os_compute_api:os-deferred-delete:force": MEMBER,
    "os_compute_api:os-evacuate": ADMIN,
    "os_compute_api:os-extended-server-attributes": ADMIN,
    "os_compute_api:extensions": ANYONE,
    "os_compute_api:os-flavor-access:add_tenant_access": ADMIN,
    "os_compute_api:os-flavor-access:remove_tenant_access": ADMIN,
    "os_compute_api:os-flavor-access": ADMIN,
    "os_compute_api:os-flavor-extra-specs:show": READER,
    "os_compute_api:os-flavor-extra-specs:create": ADMIN,
    "os_compute_api:os-flavor-extra-specs:update": ADMIN,
    "os_compute_api:os-flavor-extra-specs:delete": ADMIN,
    "os_compute_api:os-flavor-extra-specs:index": READER,
    "os_compute_api:os-flavor-manage:create": ADMIN,
    "os_compute_api:os-flavor-manage:update": ADMIN,
    "os_compute_api:os-flavor-manage:delete": ADMIN,
    "os_compute_api:os-floating-ip-pools": ANYONE,
    "os_compute_api:os-floating-ips:add": MEMBER,
    "os_compute_api:os-floating-ips:remove": MEMBER,
    "os_compute_api:os-floating-ips:list": READER,
    "os_compute_api:os-floating-ips:create": MEMBER,
    "os_compute_api:os-floating-ips:show": READER,
    "os_compute_api:os-floating-ips:delete": MEMBER,
    "os_compute_api:os-hosts:list": ADMIN,
    "os_compute_api:os-hosts:show": ADMIN,
    "os_compute_api:os-hosts:update": ADMIN,
    "os_compute_api:os-hosts:reboot": ADMIN,
    "os_compute_api:os-hosts:shutdown": ADMIN,
    "os_compute_api:os-hosts:start": ADMIN,
    "os_compute_api:os-hypervisors:list": ADMIN,
    "os_compute_api:os-hypervisors:list-detail": ADMIN,
    "os_compute_api:os-hypervisors:statistics": ADMIN,
    "os_compute_api:os-hypervisors:show": ADMIN,
    "os_compute_api:os-hypervisors:uptime": ADMIN,
    "os_compute_api:os-hypervisors:search": ADMIN,
    "os_compute_api:os-hypervisors:servers": ADMIN,
    "os_compute_api:os-instance-actions:events:details": ADMIN,
    "os_compute_api:os-instance-actions:events": ADMIN,
    "os_compute_api:os-instance-actions:list": READER,
    "os_compute_api:os-instance-actions:show": READER,
    "os_compute_api:os-instance-usage-audit-log:list": ADMIN,
    "os_compute_api:os-instance-usage-audit-log:show": ADMIN,
    "os_compute_api:ips:show": READER,
    "os_compute_api:ips:index": READER,
    "os_compute_api:os-keypairs:index": OWNER,
    "os_compute_api:os-keypairs:create": OWNER,
    "os_compute_api:os-keypairs:delete": OWNER,
    "os_compute_api:os-keypairs:show": OWNER,
    "os_compute_api:limits": ANYONE,
    "os_compute_api:limits:other_project": ADMIN,
    "os_compute_api:os-lock-server:lock": MEMBER,
    "os_compute_api:os-lock-server:unlock": MEMBER,
    "os_compute_api:os-lock-server:unlock:unlock_override": ADMIN,
    "os_compute_api:os-migrate-server:migrate": MANAGER,
    "os_compute_api:os-migrate-server:migrate:host": ADMIN,
    "os_compute_api:os-migrate-server:migrate_live": MANAGER,
    "os_compute_api:os-migrate-server:migrate_live:host": ADMIN,
    "os_compute_api:os-migrations:index": MANAGER,
    "os_compute_api:os-migrations:index:all_projects": ADMIN,
    "os_compute_api:os-migrations:index:host": ADMIN,
    "os_compute_api:os-multinic:add": MEMBER,
    "os_compute_api:os-multinic:remove": MEMBER,
    "os_compute_api:os-networks:list": READER,
    "os_compute_api:os-networks:show": READER,
    "os_compute_api:os-pause-server:pause": MEMBER,
    "os_compute_api:os-pause-server:unpause": MEMBER,
    "os_compute_api:os-quota-class-sets:show": ADMIN,
    "os_compute_api:os-quota-class-sets:update": ADMIN,
    "os_compute_api:os-quota-sets:update": ADMIN,
    "os_compute_api:os-quota-sets:defaults": ANYONE,
    "os_compute_api:os-quota-sets:show": READER,
    "os_compute_api:os-quota-sets:delete": ADMIN,
    "os_compute_api:os-quota-sets:detail": READER,
    "os_compute_api:os-remote-consoles": MEMBER,
    "os_compute_api:os-rescue": MEMBER,
    "os_compute_api:os-unrescue": MEMBER,
    "os_compute_api:os-security-groups:get": READER,
    "os_compute_api:os-security-groups:show": READER,
    "os_compute_api:os-security-groups:create": MEMBER,
    "os_compute_api:os-security-groups:update": MEMBER,
    "os_compute_api:os-security-groups:delete": MEMBER,
    "os_compute_api:os-security-groups:rule:create": MEMBER,
    "os_compute_api:os-security-groups:rule:delete": MEMBER,
    "os_compute_api:os-security-groups:list": READER,
    "os_compute_api:os-security-groups:add": MEMBER,
    "os_compute_api:os-security-groups:remove": MEMBER,
    "os_compute_api:os-server-diagnostics": ADMIN,
    "os_compute_api:os-server-external-events:create": SERVICE,
    "os_compute_api:os-server-groups:create": MEMBER,
    "os_compute_api:os-server-groups:delete": MEMBER,
    "os_compute_api:os-server-groups:index": READER,
    "os_compute_api:os-server-groups:index:all_projects": ADMIN,
    "os_compute_api:os-server-groups:show": READER,
    "os_compute_api:server-metadata:index": READER,
    "os_compute_api:server-metadata:show": READER,
    "os_compute_api:server-metadata:create": MEMBER,
    "os_compute_api:server-metadata:update_all": MEMBER,
    "os_compute_api:server-metadata:update": MEMBER,
    "os_compute_api:server-metadata:delete": MEMBER,
    "os_compute_api:os-server-password:show": READER,
    "os_compute_api:os-server-password:clear": MEMBER,
    "os_compute_api:os-server-shares:index": READER,
    "os_compute_api:os-server-shares:create": MEMBER,
    "os_compute_api:os-server-shares:show": READER,
    "os_compute_api:os-server-shares:delete": MEMBER,
    "os_compute_api:os-server-tags:delete_all": MEMBER,
    "os_compute_api:os-server-tags:index": READER,
    "os_compute_api:os-server-tags:update_all": MEMBER,
    "os_compute_api:os-server-tags:delete": MEMBER,
    "os_compute_api:os-server-tags:update": MEMBER,
    "os_compute_api:os-server-tags:show": READER,
    "compute:server:topology:index": READER,
    "compute:server:topology:host:index": ADMIN,
    "os_compute_api:servers:index": READER,
    "os_compute_api:servers:detail": READER,
    "os_compute_api:servers:index:get_all_tenants": ADMIN,
    "os_compute_api:servers:detail:get_all_tenants": ADMIN,
    "os_compute_api:servers:allow_all_filters": ADMIN,
    "os_compute_api:servers:show": READER,
    "os_compute_api:servers:show:flavor-extra-specs": READER,
    "os_compute_api:servers:show:host_status": ADMIN,
    "os_compute_api:servers:show:host_status:unknown-only": ADMIN,
    "os_compute_api:servers:create": MEMBER,
    "os_compute_api:servers:create:forced_host": ADMIN,
    "compute:servers:create:requested_destination": ADMIN,
    "os_compute_api:servers:create:attach_volume": MEMBER,
    "os_compute_api:servers:create:attach_network": MEMBER,
    "os_compute_api:servers:create:trusted_certs": MEMBER,
    "os_compute_api:servers:create:zero_disk_flavor": ADMIN,
    "network:attach_external_network": ADMIN,
    "os_compute_api:servers:delete": MEMBER,
    "os_compute_api:servers:update": MEMBER,
    "os_compute_api:servers:confirm_resize": MEMBER,
    "os_compute_api:servers:revert_resize": MEMBER,
    "os_compute_api:servers:reboot": MEMBER,
    "os_compute_api:servers:resize": MEMBER,
    "compute:servers:resize:cross_cell": NOBODY,
    "os_compute_api:servers:rebuild": MEMBER,
    "os_compute_api:servers:rebuild:trusted_certs": MEMBER,
    "os_compute_api:servers:create_image": MEMBER,
    "os_compute_api:servers:create_image:allow_volume_backed": MEMBER,
    "os_compute_api:servers:start": MEMBER,
    "os_compute_api:servers:stop": MEMBER,
    "os_compute_api:servers:trigger_crash_dump": MEMBER,
    "os_compute_api:servers:migrations:show": ADMIN,
    "os_compute_api:servers:migrations:force_complete": MANAGER,
    "os_compute_api:servers:migrations:delete": MANAGER,
    "os_compute_api:servers:migrations:index": MANAGER,
    "os_compute_api:servers:migrations:index:host": ADMIN,
    "os_compute_api:os-services:list": ADMIN,
    "os_compute_api:os-services:update": ADMIN,
    "os_compute_api:os-services:delete": ADMIN,
    "os_compute_api:os-shelve:shelve": MEMBER,
    "os_compute_api:os-shelve:unshelve": MEMBER,
    "os_compute_api:os-shelve:unshelve_to_host": ADMIN,
    "os_compute_api:os-shelve:shelve_offload": ADMIN,
    "os_compute_api:os-simple-tenant-usage:show": READER,
    "os_compute_api:os-simple-tenant-usage:list": ADMIN,
    "os_compute_api:os-suspend-server:resume": MEMBER,
    "os_compute_api:os-suspend-server:suspend": MEMBER,
    "os_compute_api:os-tenant-networks:list": READER,
    "os_compute_api:os-tenant-networks:show": READER,
    "os_compute_api:os-volumes:list": READER,
    "os_compute_api:os-volumes:create": MEMBER,
    "os_compute_api:os-volumes:detail": READER,
    "os_compute_api:os-volumes:show": READER,
    "os_compute_api:os-volumes:delete": MEMBER,
    "os_compute_api:os-volumes:snapshots:list": READER,
    "os_compute_api:os-volumes:snapshots:create": MEMBER,
    "os_compute_api:os-volumes:snapshots:detail": READER,
    "os_compute_api:os-volumes:snapshots:show": READER,
    "os_compute_api:os-volumes:snapshots:delete": MEMBER,
    "os_compute_api:os-volumes-attachments:index": READER,
    "os_compute_api:os-volumes-attachments:create": MEMBER,
    "os_compute_api:os-volumes-attachments:show": READER,
    "os_compute_api:os-volumes-attachments:update": MEMBER,
    "os_compute_api:os-volumes-attachments:swap": SERVICE,
    "os_compute_api:os-volumes-attachments:delete": MEMBER,
}


def allowed(
    caller: Caller, rule: str, project_id: str | None = None, user_id: str | None = None
) -> bool:
    """Whether ``rule`` lets ``caller`` act on what ``project_id`` (``user_id``) owns.

    Without a target, the caller's own project and user are meant.
    """
    if caller.system or caller.domain_id is not None:
        return False
    project = caller.project_id if project_id is None else project_id
    user = caller.user_id if user_id is None else user_id
    return RULES[rule](caller, project, user)


def enforce(
    caller: Caller, rule: str, project_id: str | None = None, user_id: str | None = None
) -> None:
    """As ``allowed``. Raises 403 that names the rule."""
    if not allowed(caller, rule, project_id, user_id):
        raise falcon.HTTPForbidden(description=f"Policy doesn't allow {rule} to be performed.")
