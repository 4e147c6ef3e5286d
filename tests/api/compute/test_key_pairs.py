"""Key pairs: import, generation, whose they are, and how they look at each microversion."""

from __future__ import annotations

import base64
import hashlib
import uuid
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_ssh_public_key,
)

from api.compute import key_material
from commands.compute.quota import ResetQuotas, SetQuotas
from tests.api.compute.world import PROJECT, World, refused


def ssh_key() -> str:
    public = ed25519.Ed25519PrivateKey.generate().public_key()
    return public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode() + " alice@home"


def create(world: World, version: str = "2.92", token: str = "member", **body: Any) -> Any:
    values = {"name": f"k{uuid.uuid4().hex}"} | body
    return world.post("/os-keypairs", {"keypair": values}, version=version, token=token)


def names(world: World, query: str = "", version: str = "2.35", token: str = "member") -> list[str]:
    answer = world.get(f"/os-keypairs{query}", version=version, token=token)
    assert answer.status_code == 200, answer.text
    return [entry["keypair"]["name"] for entry in answer.json["keypairs"]]


def test_import(world: World) -> None:
    key = ssh_key()
    answer = create(world, name="mine@home.1", public_key=key)
    assert answer.status_code == 201, answer.text
    digest = hashlib.md5(base64.b64decode(key.split()[1])).hexdigest()
    fingerprint = ":".join(digest[i : i + 2] for i in range(0, 32, 2))
    pair = {
        "name": "mine@home.1",
        "public_key": key,
        "fingerprint": fingerprint,
        "user_id": "alice",
        "type": "ssh",
    }
    assert answer.json == {"keypair": pair}
    shown = world.get("/os-keypairs/mine@home.1", version="2.92").json["keypair"]
    assert pair.items() <= shown.items()
    assert set(shown) - set(pair) == {"created_at", "deleted", "deleted_at", "id", "updated_at"}
    assert isinstance(shown["id"], int)
    refused(create(world, name="mine@home.1", public_key=key), 409, "conflictingRequest", "exists")
    assert world.delete("/os-keypairs/mine@home.1", version="2.92").status_code == 204
    refused(world.get("/os-keypairs/mine@home.1"), 404, "itemNotFound", "user alice")
    refused(world.delete("/os-keypairs/mine@home.1"), 404, "itemNotFound", "user alice")


def test_at_2_1(world: World) -> None:
    answer = create(world, "2.1", name="old one", public_key=ssh_key())
    assert answer.status_code == 200
    assert set(answer.json["keypair"]) == {"name", "public_key", "fingerprint", "user_id"}
    assert "type" not in world.get("/os-keypairs/old one").json["keypair"]
    listed = world.get("/os-keypairs").json["keypairs"]
    assert all(set(e["keypair"]) == {"name", "public_key", "fingerprint"} for e in listed)
    assert world.delete("/os-keypairs/old one").status_code == 202


def test_a_generated_pair_opens_what_it_closes(world: World) -> None:
    answer = create(world, "2.91", name="made")
    pair = answer.json["keypair"]
    private = load_pem_private_key(pair["private_key"].encode(), None)
    public = private.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    load_ssh_public_key(pair["public_key"].encode())
    assert pair["public_key"] == f"{public.decode()} Generated-by-Nova"
    assert "private_key" not in world.get("/os-keypairs/made").json["keypair"]
    secret = pair["private_key"].splitlines()[1].encode()
    assert not any(secret in record for record in world.bus.records)


def test_a_generated_certificate(world: World) -> None:
    pair = create(world, "2.91", name="windows", type="x509").json["keypair"]
    certificate = x509.load_pem_x509_certificate(pair["public_key"].encode())
    assert certificate.subject.rfc4514_string() == "CN=alice"
    digest = certificate.fingerprint(SHA1()).hex()
    assert pair["fingerprint"].replace(":", "") == digest
    private = load_pem_private_key(pair["private_key"].encode(), None)
    assert private.public_key() == certificate.public_key()
    alternative = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    (principal,) = alternative.value.get_values_for_type(x509.OtherName)
    assert principal.value == b"\x0c\x0falice@localhost"
    again = create(world, type="x509", public_key=pair["public_key"])
    assert again.json["keypair"]["fingerprint"] == pair["fingerprint"]


def test_a_long_user_id_has_a_certificate_too() -> None:
    made = key_material.generated("x509", "u" * 255)
    assert made.private_key is not None
    certificate = x509.load_pem_x509_certificate(made.public_key.encode())
    alternative = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    (principal,) = alternative.value.get_values_for_type(x509.OtherName)
    assert principal.value == b"\x0c\x82\x01\x09" + b"u" * 255 + b"@localhost"


def test_an_elliptic_key(world: World) -> None:
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    line = public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    assert create(world, public_key=line).status_code == 201


@pytest.mark.parametrize(
    ("version", "body"),
    [
        ("2.1", {"name": ""}),
        ("2.1", {"name": "x" * 256}),
        ("2.1", {"name": " x"}),
        ("2.91", {"name": "a@b"}),
        ("2.92", {"name": "a/b", "public_key": "ssh-rsa AAAA"}),
        ("2.92", {}),
        ("2.1", {"type": "ssh"}),
        ("2.2", {"type": "pgp"}),
        ("2.9", {"user_id": "alice"}),
        ("2.2", {"public_key": "ssh-rsa"}),
        ("2.2", {"public_key": "ssh-rsa AAAA"}),
        ("2.2", {"public_key": ""}),
        ("2.2", {"public_key": "ssh-ed25519 ???? alice"}),
        ("2.2", {"public_key": "ssh-ed25519 \u00e4\u00f6 alice"}),
        ("2.2", {"public_key": "ssh-ed25519 AAAA", "type": "x509"}),
        ("2.2", {"public_key": 7}),
    ],
)
def test_what_cannot_be_imported(world: World, version: str, body: dict[str, Any]) -> None:
    before = len(world.bus.events)
    refused(create(world, version, **body), 400, "badRequest")
    assert len(world.bus.events) == before


def test_pages(world: World) -> None:
    for name in ("p1", "p3", "p2"):
        create(world, token="stranger", name=name, public_key=ssh_key())
    assert names(world, token="stranger") == ["p1", "p2", "p3"]
    first = world.get("/os-keypairs?limit=2", version="2.35", token="stranger").json
    assert [e["keypair"]["name"] for e in first["keypairs"]] == ["p1", "p2"]
    (link,) = first["keypairs_links"]
    assert link == {
        "rel": "next",
        "href": "http://cloud.test/compute/v2.1/os-keypairs?limit=2&marker=p2",
    }
    assert names(world, "?limit=2&marker=p2", token="stranger") == ["p3"]
    assert names(world, "?limit=1", "2.34", token="stranger") == ["p1", "p2", "p3"]
    answer = world.get("/os-keypairs?marker=p9", version="2.35", token="stranger")
    refused(answer, 400, "badRequest", "p9")


def test_another_users(world: World) -> None:
    create(world, token="stranger", name="bobs", public_key=ssh_key())
    assert "bobs" in names(world, "?user_id=bob", token="admin")
    assert "bobs" not in names(world, "?user_id=bob", version="2.9", token="admin")
    answer = world.get("/os-keypairs?user_id=bob", version="2.10")
    refused(answer, 403, "forbidden", "os-keypairs:index")
    refused(world.get("/os-keypairs/bobs", version="2.10"), 404, "itemNotFound")
    answer = world.get("/os-keypairs/bobs?user_id=bob", version="2.10", token="admin")
    assert answer.json["keypair"]["user_id"] == "bob"
    answer = create(world, name="x", public_key=ssh_key(), user_id="bob")
    refused(answer, 403, "forbidden", "os-keypairs:create")
    made = create(world, token="admin", name="given", public_key=ssh_key(), user_id="bob")
    assert made.json["keypair"]["user_id"] == "bob"
    assert "given" in names(world, token="stranger")
    path = "/os-keypairs/given?user_id=bob"
    assert world.delete(path, version="2.10", token="admin").status_code == 204


def test_quota(world: World) -> None:
    world.bus.send(SetQuotas(project_id=PROJECT, limits={"key_pairs": 0}), PROJECT)
    try:
        refused(create(world, public_key=ssh_key()), 403, "forbidden", "too many key pairs")
    finally:
        world.bus.send(ResetQuotas(project_id=PROJECT), PROJECT)
    assert create(world, public_key=ssh_key()).status_code == 201
