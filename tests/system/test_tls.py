"""gRPC over TLS, with certificates that the test makes for itself."""

import datetime
import ipaddress
import json
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

TENSORWIRE = Path(sys.executable).parent / "tensorwire"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for localhost that vouches for itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    directory = tmp_path_factory.mktemp("tls")
    (directory / "certificate.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (directory / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return directory / "certificate.pem", directory / "key.pem"


def run(tmp_path: Path, **options: object) -> subprocess.CompletedProcess[str]:
    words = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
    limits = ["--port", "0", "--warmup", "0s", "--calls", "20", "--duration", "2s", "--timeout", "5s"]
    command = [str(TENSORWIRE), "run", "p2p-latency", *limits, "--format", "json", "--output", str(tmp_path / "r.json")]
    return subprocess.run([*command, *words], capture_output=True, text=True, timeout=60, check=False)


def test_a_payload_is_echoed_over_tls(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    pem, key = certificate
    done = run(tmp_path, tls_certificate=pem, tls_key=key, tls_authority=pem)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["transport"].startswith("tls")
    assert json.loads((tmp_path / "r.json").read_text())["repetitions"][0]["measurements"]


def test_a_stranger_is_not_trusted(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    pem, key = certificate
    other = tmp_path / "other.pem"
    other.write_text(Path(__file__).read_text())  # no certificate at all
    done = run(tmp_path, tls_certificate=pem, tls_key=key, tls_authority=other)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr


def test_half_of_tls_is_refused(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    done = run(tmp_path, tls_certificate=certificate[0])
    assert done.returncode == 2
    assert "all three" in done.stderr
