"""gRPC over TLS, with certificates that the test makes for itself."""

import json
import subprocess
import sys
from pathlib import Path

TENSORWIRE = Path(sys.executable).parent / "tensorwire"


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
