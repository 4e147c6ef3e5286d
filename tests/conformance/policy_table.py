"""Facts of the compute API: which rule guards each route, in which microversions it exists, and
who holds each rule by default.

Written down from Nova's API reference and policy documentation, independently of our own tables, so
that one checks the other. Routes that are not served yet stand here as well: whoever adds one finds
its rule waiting. A route's line: verb, path, the key of an action's body, microversions (``-``:
all), rule (``-``: none of its own; what is shown depends on the caller).
"""

from __future__ import annotations

from tests.conformance.inventory import COMPUTE, Route, Window

LATEST = 104
NO_RULE = "-"

_ROUTES = """
GET /versions/{} - -
GET /extensions - extensions
GET /extensions/{} - extensions
GET /flavors - -
POST /flavors - os-flavor-manage:create
GET /flavors/detail - -
GET /flavors/{} - -
PUT /flavors/{} 2.55- os-flavor-manage:update
DELETE /flavors/{} - os-flavor-manage:delete
GET /flavors/{}/os-extra_specs - os-flavor-extra-specs:index
POST /flavors/{}/os-extra_specs - os-flavor-extra-specs:create
GET /flavors/{}/os-extra_specs/{} - os-flavor-extra-specs:show
PUT /flavors/{}/os-extra_specs/{} - os-flavor-extra-specs:update
DELETE /flavors/{}/os-extra_specs/{} - os-flavor-extra-specs:delete
GET /flavors/{}/os-flavor-access - os-flavor-access
GET /images 2.1-2.35 -
GET /images/detail 2.1-2.35 -
GET /images/{} 2.1-2.35 -
DELETE /images/{} 2.1-2.35 -
GET /images/{}/metadata 2.1-2.38 -
POST /images/{}/metadata 2.1-2.38 -
PUT /images/{}/metadata 2.1-2.38 -
GET /images/{}/metadata/{} 2.1-2.38 -
PUT /images/{}/metadata/{} 2.1-2.38 -
DELETE /images/{}/metadata/{} 2.1-2.38 -
GET /limits - limits
GET /os-aggregates - os-aggregates:index
POST /os-aggregates - os-aggregates:create
GET /os-aggregates/{} - os-aggregates:show
PUT /os-aggregates/{} - os-aggregates:update
DELETE /os-aggregates/{} - os-aggregates:delete
POST /os-aggregates/{}/images 2.81- compute:aggregates:images
POST /os-assisted-volume-snapshots - os-assisted-volume-snapshots:create
DELETE /os-assisted-volume-snapshots/{} - os-assisted-volume-snapshots:delete
GET /os-availability-zone - os-availability-zone:list
GET /os-availability-zone/detail - os-availability-zone:detail
GET /os-baremetal-nodes 2.1-2.35 os-baremetal-nodes:list
POST /os-baremetal-nodes 2.1-2.35 -
GET /os-baremetal-nodes/{} 2.1-2.35 os-baremetal-nodes:show
DELETE /os-baremetal-nodes/{} 2.1-2.35 -
GET /os-console-auth-tokens/{} - os-console-auth-tokens
GET /os-floating-ip-pools 2.1-2.35 os-floating-ip-pools
GET /os-floating-ips 2.1-2.35 os-floating-ips:list
POST /os-floating-ips 2.1-2.35 os-floating-ips:create
GET /os-floating-ips/{} 2.1-2.35 os-floating-ips:show
DELETE /os-floating-ips/{} 2.1-2.35 os-floating-ips:delete
GET /os-hosts 2.1-2.42 os-hosts:list
GET /os-hosts/{} 2.1-2.42 os-hosts:show
PUT /os-hosts/{} 2.1-2.42 os-hosts:update
GET /os-hosts/{}/reboot 2.1-2.42 os-hosts:reboot
GET /os-hosts/{}/shutdown 2.1-2.42 os-hosts:shutdown
GET /os-hosts/{}/startup 2.1-2.42 os-hosts:start
GET /os-hypervisors - os-hypervisors:list
GET /os-hypervisors/detail - os-hypervisors:list-detail
GET /os-hypervisors/statistics 2.1-2.87 os-hypervisors:statistics
GET /os-hypervisors/{} - os-hypervisors:show
GET /os-hypervisors/{}/search 2.1-2.52 os-hypervisors:search
GET /os-hypervisors/{}/servers 2.1-2.52 os-hypervisors:servers
GET /os-hypervisors/{}/uptime 2.1-2.87 os-hypervisors:uptime
GET /os-instance_usage_audit_log - os-instance-usage-audit-log:list
GET /os-instance_usage_audit_log/{} - os-instance-usage-audit-log:show
GET /os-keypairs - os-keypairs:index
POST /os-keypairs - os-keypairs:create
GET /os-keypairs/{} - os-keypairs:show
DELETE /os-keypairs/{} - os-keypairs:delete
GET /os-migrations - os-migrations:index
GET /os-networks 2.1-2.35 os-networks:list
GET /os-networks/{} 2.1-2.35 os-networks:show
GET /os-quota-class-sets/{} - os-quota-class-sets:show
PUT /os-quota-class-sets/{} - os-quota-class-sets:update
GET /os-quota-sets/{} - os-quota-sets:show
PUT /os-quota-sets/{} - os-quota-sets:update
DELETE /os-quota-sets/{} - os-quota-sets:delete
GET /os-quota-sets/{}/detail - os-quota-sets:detail
GET /os-quota-sets/{}/defaults - os-quota-sets:defaults
POST /os-security-group-rules 2.1-2.35 os-security-groups:rule:create
DELETE /os-security-group-rules/{} 2.1-2.35 os-security-groups:rule:delete
GET /os-security-groups 2.1-2.35 os-security-groups:get
POST /os-security-groups 2.1-2.35 os-security-groups:create
GET /os-security-groups/{} 2.1-2.35 os-security-groups:show
PUT /os-security-groups/{} 2.1-2.35 os-security-groups:update
DELETE /os-security-groups/{} 2.1-2.35 os-security-groups:delete
POST /os-server-external-events - os-server-external-events:create
GET /os-server-groups - os-server-groups:index
POST /os-server-groups - os-server-groups:create
GET /os-server-groups/{} - os-server-groups:show
DELETE /os-server-groups/{} - os-server-groups:delete
GET /os-services - os-services:list
PUT /os-services/{} - os-services:update
DELETE /os-services/{} - os-services:delete
GET /os-simple-tenant-usage - os-simple-tenant-usage:list
GET /os-simple-tenant-usage/{} - os-simple-tenant-usage:show
GET /os-snapshots 2.1-2.35 os-volumes:snapshots:list
POST /os-snapshots 2.1-2.35 os-volumes:snapshots:create
GET /os-snapshots/detail 2.1-2.35 os-volumes:snapshots:detail
GET /os-snapshots/{} 2.1-2.35 os-volumes:snapshots:show
DELETE /os-snapshots/{} 2.1-2.35 os-volumes:snapshots:delete
GET /os-tenant-networks 2.1-2.35 os-tenant-networks:list
GET /os-tenant-networks/{} 2.1-2.35 os-tenant-networks:show
GET /os-volumes 2.1-2.35 os-volumes:list
POST /os-volumes 2.1-2.35 os-volumes:create
GET /os-volumes/detail 2.1-2.35 os-volumes:detail
GET /os-volumes/{} 2.1-2.35 os-volumes:show
DELETE /os-volumes/{} 2.1-2.35 os-volumes:delete
GET /servers - servers:index
POST /servers - servers:create
GET /servers/detail - servers:detail
GET /servers/{} - servers:show
PUT /servers/{} - servers:update
DELETE /servers/{} - servers:delete
GET /servers/{}/diagnostics - os-server-diagnostics
GET /servers/{}/ips - ips:index
GET /servers/{}/ips/{} - ips:show
GET /servers/{}/metadata - server-metadata:index
POST /servers/{}/metadata - server-metadata:create
PUT /servers/{}/metadata - server-metadata:update_all
GET /servers/{}/metadata/{} - server-metadata:show
PUT /servers/{}/metadata/{} - server-metadata:update
DELETE /servers/{}/metadata/{} - server-metadata:delete
GET /servers/{}/migrations 2.23- servers:migrations:index
GET /servers/{}/migrations/{} 2.23- servers:migrations:show
DELETE /servers/{}/migrations/{} 2.24- servers:migrations:delete
GET /servers/{}/os-instance-actions - os-instance-actions:list
GET /servers/{}/os-instance-actions/{} - os-instance-actions:show
GET /servers/{}/os-interface - os-attach-interfaces:list
POST /servers/{}/os-interface - os-attach-interfaces:create
GET /servers/{}/os-interface/{} - os-attach-interfaces:show
DELETE /servers/{}/os-interface/{} - os-attach-interfaces:delete
GET /servers/{}/os-server-password - os-server-password:show
DELETE /servers/{}/os-server-password - os-server-password:clear
GET /servers/{}/os-volume_attachments - os-volumes-attachments:index
POST /servers/{}/os-volume_attachments - os-volumes-attachments:create
GET /servers/{}/os-volume_attachments/{} - os-volumes-attachments:show
PUT /servers/{}/os-volume_attachments/{} - os-volumes-attachments:update
DELETE /servers/{}/os-volume_attachments/{} - os-volumes-attachments:delete
POST /servers/{}/remote-consoles 2.6- os-remote-consoles
GET /servers/{}/os-security-groups - os-security-groups:list
GET /servers/{}/shares 2.97- os-server-shares:index
POST /servers/{}/shares 2.97- os-server-shares:create
GET /servers/{}/shares/{} 2.97- os-server-shares:show
DELETE /servers/{}/shares/{} 2.97- os-server-shares:delete
GET /servers/{}/tags 2.26- os-server-tags:index
PUT /servers/{}/tags 2.26- os-server-tags:update_all
DELETE /servers/{}/tags 2.26- os-server-tags:delete_all
GET /servers/{}/tags/{} 2.26- os-server-tags:show
PUT /servers/{}/tags/{} 2.26- os-server-tags:update
DELETE /servers/{}/tags/{} 2.26- os-server-tags:delete
GET /servers/{}/topology 2.78- compute:server:topology:index
POST /flavors/{}/action#addTenantAccess - os-flavor-access:add_tenant_access
POST /flavors/{}/action#removeTenantAccess - os-flavor-access:remove_tenant_access
POST /os-aggregates/{}/action#add_host - os-aggregates:add_host
POST /os-aggregates/{}/action#remove_host - os-aggregates:remove_host
POST /os-aggregates/{}/action#set_metadata - os-aggregates:set_metadata
POST /os-baremetal-nodes/{}/action#add_interface 2.1-2.35 -
POST /os-baremetal-nodes/{}/action#remove_interface 2.1-2.35 -
POST /servers/{}/action#confirmResize - servers:confirm_resize
POST /servers/{}/action#revertResize - servers:revert_resize
POST /servers/{}/action#reboot - servers:reboot
POST /servers/{}/action#resize - servers:resize
POST /servers/{}/action#rebuild - servers:rebuild
POST /servers/{}/action#createImage - servers:create_image
POST /servers/{}/action#os-start - servers:start
POST /servers/{}/action#os-stop - servers:stop
POST /servers/{}/action#trigger_crash_dump 2.17- servers:trigger_crash_dump
POST /servers/{}/action#injectNetworkInfo - os-admin-actions:inject_network_info
POST /servers/{}/action#os-resetState - os-admin-actions:reset_state
POST /servers/{}/action#changePassword - os-admin-password
POST /servers/{}/action#os-getConsoleOutput - os-console-output
POST /servers/{}/action#createBackup - os-create-backup
POST /servers/{}/action#restore - os-deferred-delete:restore
POST /servers/{}/action#forceDelete - os-deferred-delete:force
POST /servers/{}/action#evacuate - os-evacuate
POST /servers/{}/action#addFloatingIp 2.1-2.43 os-floating-ips:add
POST /servers/{}/action#removeFloatingIp 2.1-2.43 os-floating-ips:remove
POST /servers/{}/action#lock - os-lock-server:lock
POST /servers/{}/action#unlock - os-lock-server:unlock
POST /servers/{}/action#migrate - os-migrate-server:migrate
POST /servers/{}/action#os-migrateLive - os-migrate-server:migrate_live
POST /servers/{}/action#addFixedIp 2.1-2.43 os-multinic:add
POST /servers/{}/action#removeFixedIp 2.1-2.43 os-multinic:remove
POST /servers/{}/action#pause - os-pause-server:pause
POST /servers/{}/action#unpause - os-pause-server:unpause
POST /servers/{}/action#os-getVNCConsole 2.1-2.5 os-remote-consoles
POST /servers/{}/action#os-getSPICEConsole 2.1-2.5 os-remote-consoles
POST /servers/{}/action#os-getRDPConsole 2.1-2.5 -
POST /servers/{}/action#os-getSerialConsole 2.1-2.5 os-remote-consoles
POST /servers/{}/action#rescue - os-rescue
POST /servers/{}/action#unrescue - os-unrescue
POST /servers/{}/action#addSecurityGroup - os-security-groups:add
POST /servers/{}/action#removeSecurityGroup - os-security-groups:remove
POST /servers/{}/action#shelve - os-shelve:shelve
POST /servers/{}/action#shelveOffload - os-shelve:shelve_offload
POST /servers/{}/action#unshelve - os-shelve:unshelve
POST /servers/{}/action#suspend - os-suspend-server:suspend
POST /servers/{}/action#resume - os-suspend-server:resume
POST /servers/{}/migrations/{}/action#force_complete 2.22- servers:migrations:force_complete
"""

_HOLDERS = {
    "admin": """
        compute:aggregates:images compute:server:topology:host:index
        compute:servers:create:requested_destination network:attach_external_network
        limits:other_project os-admin-actions:inject_network_info os-admin-actions:reset_state
        os-aggregates:add_host os-aggregates:create os-aggregates:delete os-aggregates:index
        os-aggregates:remove_host os-aggregates:set_metadata os-aggregates:show
        os-aggregates:update os-availability-zone:detail os-baremetal-nodes:list
        os-baremetal-nodes:show os-console-auth-tokens os-evacuate os-extended-server-attributes
        os-flavor-access os-flavor-access:add_tenant_access
        os-flavor-access:remove_tenant_access os-flavor-extra-specs:create
        os-flavor-extra-specs:delete os-flavor-extra-specs:update os-flavor-manage:create
        os-flavor-manage:delete os-flavor-manage:update os-hosts:list os-hosts:reboot
        os-hosts:show os-hosts:shutdown os-hosts:start os-hosts:update os-hypervisors:list
        os-hypervisors:list-detail os-hypervisors:search os-hypervisors:servers
        os-hypervisors:show os-hypervisors:statistics os-hypervisors:uptime
        os-instance-actions:events os-instance-actions:events:details
        os-instance-usage-audit-log:list os-instance-usage-audit-log:show
        os-lock-server:unlock:unlock_override os-migrate-server:migrate:host
        os-migrate-server:migrate_live:host os-migrations:index:all_projects
        os-migrations:index:host os-quota-class-sets:show os-quota-class-sets:update
        os-quota-sets:delete os-quota-sets:update os-server-diagnostics
        os-server-groups:index:all_projects os-services:delete os-services:list
        os-services:update os-shelve:shelve_offload os-shelve:unshelve_to_host
        os-simple-tenant-usage:list servers:allow_all_filters servers:create:forced_host
        servers:create:zero_disk_flavor servers:detail:get_all_tenants
        servers:index:get_all_tenants servers:migrations:index:host servers:migrations:show
        servers:show:host_status servers:show:host_status:unknown-only
    """,
    "member": """
        os-admin-password os-attach-interfaces:create os-attach-interfaces:delete
        os-console-output os-create-backup os-deferred-delete:force os-deferred-delete:restore
        os-floating-ips:add os-floating-ips:create os-floating-ips:delete os-floating-ips:remove
        os-lock-server:lock os-lock-server:unlock os-multinic:add os-multinic:remove
        os-pause-server:pause os-pause-server:unpause os-remote-consoles os-rescue
        os-security-groups:add os-security-groups:create os-security-groups:delete
        os-security-groups:remove os-security-groups:rule:create os-security-groups:rule:delete
        os-security-groups:update os-server-groups:create os-server-groups:delete
        os-server-password:clear os-server-shares:create os-server-shares:delete
        os-server-tags:delete os-server-tags:delete_all os-server-tags:update
        os-server-tags:update_all os-shelve:shelve os-shelve:unshelve os-suspend-server:resume
        os-suspend-server:suspend os-unrescue os-volumes-attachments:create
        os-volumes-attachments:delete os-volumes-attachments:update os-volumes:create
        os-volumes:delete os-volumes:snapshots:create os-volumes:snapshots:delete
        server-metadata:create server-metadata:delete server-metadata:update
        server-metadata:update_all servers:confirm_resize servers:create
        servers:create:attach_network servers:create:attach_volume servers:create:trusted_certs
        servers:create_image servers:create_image:allow_volume_backed servers:delete
        servers:reboot servers:rebuild servers:rebuild:trusted_certs servers:resize
        servers:revert_resize servers:start servers:stop servers:trigger_crash_dump
        servers:update
    """,
    "service": """
        os-assisted-volume-snapshots:create os-assisted-volume-snapshots:delete
        os-server-external-events:create os-volumes-attachments:swap
    """,
    "reader": """
        compute:server:topology:index ips:index ips:show os-attach-interfaces:list
        os-attach-interfaces:show os-flavor-extra-specs:index os-flavor-extra-specs:show
        os-floating-ips:list os-floating-ips:show os-instance-actions:list
        os-instance-actions:show os-networks:list os-networks:show os-quota-sets:detail
        os-quota-sets:show os-security-groups:get os-security-groups:list
        os-security-groups:show os-server-groups:index os-server-groups:show
        os-server-password:show os-server-shares:index os-server-shares:show
        os-server-tags:index os-server-tags:show os-simple-tenant-usage:show
        os-tenant-networks:list os-tenant-networks:show os-volumes-attachments:index
        os-volumes-attachments:show os-volumes:detail os-volumes:list os-volumes:show
        os-volumes:snapshots:detail os-volumes:snapshots:list os-volumes:snapshots:show
        server-metadata:index server-metadata:show servers:detail servers:index servers:show
        servers:show:flavor-extra-specs
    """,
    "anyone": """
        extensions limits os-availability-zone:list os-floating-ip-pools os-quota-sets:defaults
    """,
    "owner": """
        os-keypairs:create os-keypairs:delete os-keypairs:index os-keypairs:show
    """,
    "manager": """
        os-migrate-server:migrate os-migrate-server:migrate_live os-migrations:index
        servers:migrations:delete servers:migrations:force_complete servers:migrations:index
    """,
    "nobody": """
        compute:servers:resize:cross_cell
    """,
}
"""Who holds each rule by default; those without a prefix are ``os_compute_api:`` rules.
admin: in any project. manager, member, reader: in the project that owns the target. owner: the
user. service: for whatever project. All but nobody: admins too. For tokens of a project only."""

_PREFIXED = ("compute:", "network:")


def _full(rule: str) -> str:
    return rule if rule.startswith(_PREFIXED) or rule == NO_RULE else f"os_compute_api:{rule}"


def _window(text: str) -> Window:
    if text == "-":
        return Window(1, LATEST)
    since, _, until = text.partition("-")
    return Window(int(since.removeprefix("2.")), int(until.removeprefix("2.") or LATEST))


def _read() -> dict[Route, tuple[Window, str]]:
    table = {}
    for line in _ROUTES.strip().splitlines():
        method, path, window, rule = line.split()
        path, _, action = path.partition("#")
        table[Route(f"{COMPUTE}{path}", method, action)] = (_window(window), _full(rule))
    return table


COMPUTE_ROUTES = _read()
"""Window and rule of each route, its path in the nameless form."""

HOLDERS = {_full(rule): holder for holder, rules in _HOLDERS.items() for rule in rules.split()}
"""Who holds each rule."""
