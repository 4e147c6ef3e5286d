"""Users' public keys: reading what is imported, and making new pairs up to 2.91.

A private half exists in the answer to its creation and nowhere else.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from datetime import UTC, datetime, timedelta

import msgspec
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_ssh_public_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

RSA_BITS = 2048
COMMENT = "Generated-by-Nova"
CERTIFICATE_DAYS = 3650
UPN = x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.3")
"""A user's principal name: what WinRM maps a certificate to a user by."""
COMMON_NAME_MAX = 64


class KeyMaterial(msgspec.Struct, frozen=True):
    """A key pair; ``private_key`` (PEM) is there when it was made here."""

    public_key: str
    fingerprint: str
    private_key: str | None = None


class BadKey(ValueError):
    """It is no public key of that type."""


def imported(type: str, public_key: str) -> KeyMaterial:
    """An OpenSSH line (``ssh``) or a PEM certificate (``x509``). Raises ``BadKey``."""
    fingerprint = ssh_fingerprint if type == "ssh" else x509_fingerprint
    return KeyMaterial(public_key, fingerprint(public_key))


def ssh_fingerprint(public_key: str) -> str:
    """MD5 of the key's blob, in colon form (RFC 4716, section 4). Raises ``BadKey``."""
    try:
        load_ssh_public_key(public_key.encode())
        blob = base64.b64decode(public_key.split()[1])
    except (ValueError, IndexError, UnsupportedAlgorithm, binascii.Error):
        raise BadKey from None
    return _colons(hashlib.md5(blob, usedforsecurity=False).hexdigest())


def x509_fingerprint(certificate: str) -> str:
    """SHA-1 of the certificate, in colon form. Raises ``BadKey``."""
    try:
        read = x509.load_pem_x509_certificate(certificate.encode())
    except ValueError:
        raise BadKey from None
    return _colons(read.fingerprint(SHA1()).hex())


def generated(type: str, user_id: str) -> KeyMaterial:
    """A new RSA pair; of type x509 with a client certificate for the user, as WinRM wants it."""
    key = rsa.generate_private_key(65537, RSA_BITS)
    if type == "ssh":
        line = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
        public_key = f"{line} {COMMENT}"
        return KeyMaterial(
            public_key, ssh_fingerprint(public_key), _pem(key, PrivateFormat.TraditionalOpenSSL)
        )
    certificate = _certificate(key, user_id)
    return KeyMaterial(certificate, x509_fingerprint(certificate), _pem(key, PrivateFormat.PKCS8))


def _pem(key: rsa.RSAPrivateKey, form: PrivateFormat) -> str:
    return key.private_bytes(Encoding.PEM, form, NoEncryption()).decode()


def _certificate(key: rsa.RSAPrivateKey, user_id: str) -> str:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, user_id[:COMMON_NAME_MAX])])
    principal = x509.OtherName(UPN, _der_text(f"{user_id}@localhost"))
    begins = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + timedelta(days=CERTIFICATE_DAYS))
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([principal]), critical=False)
        .sign(key, SHA256())
    )
    return certificate.public_bytes(Encoding.PEM).decode()


def _der_text(text: str) -> bytes:
    """A DER UTF8String (X.690, 8.1 and 8.23)."""
    content = text.encode()
    size = len(content)
    if size < 0x80:
        return bytes([0x0C, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([0x0C, 0x80 | len(length)]) + length + content


def _colons(digest: str) -> str:
    return ":".join(digest[i : i + 2] for i in range(0, len(digest), 2))
