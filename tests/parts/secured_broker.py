"""A broker that knows its clients by SCRAM and enforces ACLs: what a production cluster does."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from kafka import KafkaAdminClient
from kafka.admin import (
    ACL,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    ResourcePattern,
    ResourceType,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from chronova.acls import Acl
from chronova.embedded import broker

ADMIN, ADMIN_PASSWORD = "root", "root-of-a-test"

_TYPES = {
    "topic": ResourceType.TOPIC,
    "group": ResourceType.GROUP,
    "transactional-id": ResourceType.TRANSACTIONAL_ID,
    "cluster": ResourceType.CLUSTER,
}
_OPERATIONS = {
    "Read": ACLOperation.READ,
    "Write": ACLOperation.WRITE,
    "Create": ACLOperation.CREATE,
    "AlterConfigs": ACLOperation.ALTER_CONFIGS,
    "Describe": ACLOperation.DESCRIBE,
    "DescribeConfigs": ACLOperation.DESCRIBE_CONFIGS,
}


class SecuredBroker:
    """A running one. ``options(user)`` are a client's; ``allow`` makes a user with its rules."""

    def __init__(self, data_dir: Path) -> None:
        module = "org.apache.kafka.common.security"
        login = (
            f'{module}.plain.PlainLoginModule required username="{ADMIN}"'
            f' password="{ADMIN_PASSWORD}" user_{ADMIN}="{ADMIN_PASSWORD}";'
        )
        self._admin = {
            "security_protocol": "SASL_PLAINTEXT",
            "sasl_mechanism": "PLAIN",
            "sasl_plain_username": ADMIN,
            "sasl_plain_password": ADMIN_PASSWORD,
        }
        settings = {
            "listener.security.protocol.map": "PLAINTEXT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT",
            "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256",
            "sasl.mechanism.inter.broker.protocol": "PLAIN",
            "listener.name.plaintext.plain.sasl.jaas.config": login,
            "listener.name.plaintext.scram-sha-256.sasl.jaas.config": (
                f"{module}.scram.ScramLoginModule required;"
            ),
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            # The controller's listener is this node's own, on loopback, and asks for no name.
            "super.users": f"User:{ADMIN};User:ANONYMOUS",
            "allow.everyone.if.no.acl.found": "false",
        }
        self.bootstrap = broker.start(data_dir, settings=settings, client_options=self._admin)
        self.admin = KafkaAdminClient(bootstrap_servers=self.bootstrap, **self._admin)

    def options(self, user: str) -> dict[str, object]:
        """``log_options`` of that user; of ``ADMIN`` too."""
        if user == ADMIN:
            return dict(self._admin)
        return {
            "security_protocol": "SASL_PLAINTEXT",
            "sasl_mechanism": "SCRAM-SHA-256",
            "sasl_plain_username": user,
            "sasl_plain_password": f"password-of-{user}",
        }

    def allow(self, user: str, rules: Sequence[Acl]) -> None:
        """Make a user that may do this, and nothing else."""
        mechanism = ScramMechanism.SCRAM_SHA_256
        password = f"password-of-{user}"
        self.admin.alter_user_scram_credentials(
            [UserScramCredentialUpsertion(user, mechanism, password)]
        )
        made = [
            ACL(
                f"User:{user}",
                "*",
                _OPERATIONS[operation],
                ACLPermissionType.ALLOW,
                ResourcePattern(
                    _TYPES[rule.resource],
                    rule.name,
                    ACLResourcePatternType.PREFIXED
                    if rule.prefixed
                    else ACLResourcePatternType.LITERAL,
                ),
            )
            for rule in rules
            for operation in rule.operations
        ]
        result = self.admin.create_acls(made)
        assert not result["failed"], result


@contextmanager
def secured_broker() -> Iterator[SecuredBroker]:
    """One for as long as the context lasts."""
    with tempfile.TemporaryDirectory(prefix="chronova-secured-") as scratch:
        data_dir = Path(scratch)
        try:
            running = SecuredBroker(data_dir)
            try:
                yield running
            finally:
                running.admin.close()
        finally:
            broker.stop(data_dir)
