"""What libcurl sends takes the way that botocore takes: the same certificates are trusted, the same proxies asked."""

from __future__ import annotations

import socket
import socketserver
import threading
from base64 import b64decode
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Self

import pytest

from ecr_source.aws.libcurl import Libcurl
from ecr_source.catalog.tables.repository import DESCRIBE_REPOSITORIES
from tests.aws.connecting import by_botocore, connected, hearing, is_of_botocore
from tests.server.ecr_server import EcrServer
from tests.server.http_endpoint import HttpServer


@pytest.mark.parametrize("where", ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "ca_bundle"])
def test_the_certificates_that_are_trusted_are_botocores(
    encrypted: tuple[EcrServer, str],
    certificate: tuple[Path, Path],
    where: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    heard, url = hearing(encrypted[0]._http), encrypted[1]
    monkeypatch.setenv(where, str(certificate[0]))
    if where == "ca_bundle":
        (tmp_path / "config").write_text(f"[default]\nca_bundle = {certificate[0]}\n")
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    api = connected(url)
    api.call(DESCRIBE_REPOSITORIES)
    by_botocore(api)
    assert [is_of_botocore(request) for request in heard] == [False, True]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_nobody_else_is_sent_anything(
    encrypted: tuple[EcrServer, str], certificate: tuple[Path, Path], host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody vouches for the first, and the certificate is not of the second's name."""
    heard, url = hearing(encrypted[0]._http), encrypted[1]
    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate[0]))
    trusting = connected(url)
    trusting.call(DESCRIBE_REPOSITORIES)
    known = trusting.connection.libcurl._ways["ecr"]
    assert known is not None
    requests = Libcurl(str(certificate[0]) if host == "localhost" else None)
    requests._ways["ecr"] = replace(known, url=url.replace("127.0.0.1", host))
    assert requests.send("ecr", requests.serialized(DESCRIBE_REPOSITORIES, {})) is None
    assert len(heard) == 1


@pytest.mark.parametrize("not_by_proxy", ["", "127.0.0.1"])
def test_the_proxy_of_the_environment_is_asked_where_botocore_asks_it(
    server: EcrServer, not_by_proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.registry().put("team/api")
    heard = hearing(server._http)
    passed_on = hearing(proxy := HttpServer(lambda request: server._http.answer(request)))
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    monkeypatch.setenv("NO_PROXY", not_by_proxy)
    api = connected(server.url)
    assert len(api.call(DESCRIBE_REPOSITORIES).member("repositories")) == 1
    by_botocore(api)
    proxy.shutdown()
    proxy.server_close()
    assert len(heard) == 2
    assert [request.path for request in passed_on] == ([] if not_by_proxy else [f"{server.url}/"] * 2)


def test_what_is_encrypted_goes_through_the_proxy_unread(
    encrypted: tuple[EcrServer, str], certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    heard, url = hearing(encrypted[0]._http), encrypted[1]
    with Tunnel() as tunnel:
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:pass%2Fword@127.0.0.1:{tunnel.server_address[1]}")
        monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate[0]))
        api = connected(url)
        api.call(DESCRIBE_REPOSITORIES)
        by_botocore(api)
        api.connection.close()
    assert [is_of_botocore(request) for request in heard] == [False, True]
    assert [line.split()[1] for line in tunnel.asked] == [url.removeprefix("https://")] * 2
    assert tunnel.passwords == ["me:pass/word"] * 2


class Tunnel(socketserver.ThreadingTCPServer):
    """A proxy that connects to whom it is told, and then does not know what goes through."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Tunnelled)
        self.asked: list[str] = []
        self.passwords: list[str] = []

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


class _Tunnelled(socketserver.StreamRequestHandler):
    server: Tunnel

    def handle(self) -> None:
        asked = self.rfile.readline().decode()
        self.server.asked.append(asked)
        while (line := self.rfile.readline().decode().strip()) != "":
            name, _, value = line.partition(": ")
            if name.lower() == "proxy-authorization":
                self.server.passwords.append(b64decode(value.removeprefix("Basic ")).decode())
        host, _, port = asked.split()[1].partition(":")
        with socket.create_connection((host, int(port))) as there:
            self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            threading.Thread(target=_copy, args=(there, self.connection), daemon=True).start()
            _copy(self.connection, there)


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while received := source.recv(65536):
            target.sendall(received)
