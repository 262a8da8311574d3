"""An endpoint that is encrypted, and its certificate."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server.ecr_server import EcrServer, serving


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate of 127.0.0.1 that signed itself, and its key."""
    folder = tmp_path_factory.mktemp("certificate")
    kind = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    name = "-subj /CN=localhost -addext subjectAltName=IP:127.0.0.1"
    files = f"-keyout {folder}/key.pem -out {folder}/cert.pem"
    subprocess.run(["openssl", *f"{kind} {name} {files}".split()], check=True, capture_output=True)
    return folder / "cert.pem", folder / "key.pem"


@pytest.fixture
def encrypted(certificate: tuple[Path, Path]) -> Iterator[tuple[EcrServer, str]]:
    """An endpoint with that certificate, and its URL."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    with serving() as server:
        server._http.socket = context.wrap_socket(server._http.socket, server_side=True)
        server.registry().put("team/api")
        yield server, server.url.replace("http:", "https:")
