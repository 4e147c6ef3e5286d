"""No secret is in any record: not in a value, not in a header, not in a key, in no usual form."""

from __future__ import annotations

import base64
import secrets
import urllib.parse

from tests.parts.site import SDK_WARNS_OF_ITSELF, Site

pytestmark = SDK_WARNS_OF_ITSELF


def use_every_kind(site: Site) -> None:
    """Whatever a user may hand over or be given that nobody else may know. More than once."""
    name = f"secretive-{secrets.token_hex(4)}"
    with site.sdk() as cloud:
        site.secrets.add(cloud.auth_token)
        chosen = f"Admin-{secrets.token_hex(8)}"
        server = cloud.compute.create_server(
            name=name,
            image_id=site.image,
            flavor_id="1",
            networks="none",
            admin_password=chosen,
            config_drive=True,
        )
        assert server.admin_password == chosen
        generated = cloud.compute.create_server(
            name=f"{name}-2", image_id=site.image, flavor_id="1", networks="none"
        )
        site.secrets |= {chosen, generated.admin_password}
        pair = cloud.compute.create_keypair(name=name)
        site.secrets.add("".join(pair.private_key.splitlines()[2:4]))
        user = cloud.identity.create_user(
            name=name, password=f"First-{secrets.token_hex(8)}", domain_id="default"
        )
        second, third = (f"Next-{secrets.token_hex(8)}" for _ in range(2))
        cloud.identity.update_user(user, password=second)
        site.secrets |= {second, third}
        me = cloud.session.auth.get_access(cloud.session).user_id
        credential = cloud.identity.create_application_credential(me, name=name)
        site.secrets.add(credential.secret)
        own = f"Own-{secrets.token_hex(8)}"
        cloud.identity.create_application_credential(me, name=f"{name}-2", secret=own)
        site.secrets.add(own)
        for made in (server, generated):
            cloud.compute.wait_for_server(made, interval=0.1, wait=60)
            cloud.compute.delete_server(made)
            cloud.compute.wait_for_delete(made, interval=0.1, wait=60)
        cloud.compute.delete_keypair(pair)
    site.secrets |= {site.passwords.admin, site.passwords.demo}


def forms(secret: str) -> list[bytes]:
    """As it is, in base64, in hexadecimal, quoted for a URL."""
    plain = secret.encode()
    inner = base64.b64encode(plain)[: len(plain) // 3 * 4]
    return [plain, inner, plain.hex().encode(), urllib.parse.quote(secret).encode()]


def test_no_secret_is_in_any_record(site: Site) -> None:
    use_every_kind(site)
    assert len(site.secrets) > 8 and all(len(secret) >= 12 for secret in site.secrets)
    searched = {form for secret in site.secrets for form in forms(secret)}
    records = site.records()
    kinds = {part for record in records for part in record.topic.split(".")[:2]}
    assert kinds >= {"commands", "reports", "events", "dispatch", "replies"}
    for record in records:
        headers = "\n".join(f"{name}={value}" for name, value in record.headers.items())
        whole = b"\n".join((record.value, headers.encode(), record.key.encode()))
        found = [form for form in searched if form in whole]
        assert not found, f"{record.topic}/{record.partition}@{record.offset} holds {found}"


def test_no_secret_is_in_the_processes_own_logs(site: Site) -> None:
    known = site.secrets | {site.passwords.admin, site.passwords.demo}
    for path in (site.data / "logs").glob("*.log"):
        text = path.read_bytes()
        assert not [secret for secret in known if secret.encode() in text], path.name
