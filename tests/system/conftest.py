"""Every test has a home of its own, with a short path, and ends all that it started."""

import datetime
import ipaddress
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.system.driver import Done, Driver

Start = Callable[..., Driver]
Run = Callable[..., Done]


@pytest.fixture
def home() -> Iterator[Path]:
    """Short, because the path of a Unix-domain socket must be."""
    path = Path(tempfile.mkdtemp(prefix="tw"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def start(home: Path) -> Iterator[Start]:
    """Starts a command: its words, and what its environment has beside ours."""
    started: list[Driver] = []

    def begin(*words: str, **environment: str) -> Driver:
        started.append(Driver(home, words, environment))
        return started[-1]

    yield begin
    for driver in started:
        driver.kill()


@pytest.fixture
def run(start: Start) -> Run:
    """Runs a command to its end."""

    def complete(*words: str, **environment: str) -> Done:
        return start(*words, **environment).wait()

    return complete


@pytest.fixture(scope="session")
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
