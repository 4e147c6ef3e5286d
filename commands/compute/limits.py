"""How long operations may take, and the default quotas. Nova's values where it has them."""

from __future__ import annotations

SECOND = 1_000_000

PLACEMENT = 60 * SECOND
"""A host is found in milliseconds; a minute covers a scheduler's restart and refold."""
BUILD = 600 * SECOND
"""To the first sign of progress of a build; each one extends it."""
LEASE = 300 * SECOND
"""What a host gets for the rest of a long operation each time that it reports progress."""
SHUTDOWN_GRACE_S = 60
"""``shutdown_timeout``: a guest gets this long before it is powered off."""
STOP = (SHUTDOWN_GRACE_S + 60) * SECOND
START = 120 * SECOND
SOFT_REBOOT = 120 * SECOND
"""``wait_soft_reboot_seconds``: then it turns hard."""
HARD_REBOOT = 180 * SECOND
DELETION = SOFT_REBOOT + 60 * SECOND
"""Then the server is gone without its host, which removes the guest when it is back. Longer than
a host may be busy with the server before: the wait for a guest that ignores a soft reboot."""

SECRETS_STORED = 3600 * SECOND
"""A request for servers is decided this long after its secrets were stored, not later: secrets
that no server has are removed after twice that time."""

ATTEMPTS_MAX = 3
"""``[scheduler]max_attempts``: hosts tried for one build."""

QUOTAS = {
    "instances": 10,
    "cores": 20,
    "ram": 51200,
    "metadata_items": 128,
    "key_pairs": 100,
    "server_groups": 10,
    "server_group_members": 10,
    "injected_files": 5,
    "injected_file_content_bytes": 10240,
    "injected_file_path_bytes": 255,
}
"""``[quota]`` defaults; RAM in MiB; -1 would be no limit."""
