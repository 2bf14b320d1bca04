"""Servers with and without TLS, and gateways, all on loopback."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from kernelfactory.gateway.dial import Outside
from kernelfactory.gateway.doors import Gateway

from .servers import Server


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificate and key of `localhost` and `allowed.test`, which vouches for itself."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl here")
    folder = tmp_path_factory.mktemp("tls")
    names = "subjectAltName=DNS:localhost,DNS:allowed.test"
    use = "keyUsage=critical,digitalSignature,keyCertSign"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    argv = [*command.split(), "-addext", names, "-addext", use, "-keyout", "key.pem", "-out", "cert.pem"]
    subprocess.run(argv, cwd=folder, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="session")
def trust(certificate: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificate / "cert.pem"))


@pytest.fixture
def safe(certificate: Path) -> Iterator[Server]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    made = Server(context)
    yield made
    made.close()


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with Gateway(Outside(proxies={})) as made:
        yield made
