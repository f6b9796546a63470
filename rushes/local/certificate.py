"""A certificate that a server of ours shows, and asks of everybody who connects: only who can read its file gets in."""

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rushes.local.folder import write_private

# The clocks of one machine do not differ, but they are set back now and then.
EARLIER, LIFE = timedelta(days=366), timedelta(days=3660)


def new_certificate(name: str) -> str:
    """A fresh key and a certificate of it for `name` and 127.0.0.1, in PEM. The certificate is its own authority.

    Ten years of life, because a server reads it at its start and may then run for long.
    """
    from cryptography import x509  # slow, and not wanted by most that import this
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - EARLIER)
        .not_valid_after(now + LIFE)
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    form = serialization.Encoding.PEM
    private = key.private_bytes(form, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return (private + certificate.public_bytes(form)).decode()


def write_certificate(path: Path, name: str) -> None:
    """Put a new one where only its owner can read it."""
    write_private(path, new_certificate(name))
