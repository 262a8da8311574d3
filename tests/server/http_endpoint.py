"""HTTP/1.1 as AWS's endpoints speak it, answered by a function."""

from __future__ import annotations

import socket
import socketserver
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from tests.server.answers import Answer


@dataclass(frozen=True)
class Request:
    """A request off the wire, its headers by lower-case name."""

    method: str
    path: str
    headers: dict[bytes, bytes]
    body: bytes

    @property
    def keeps_alive(self) -> bool:
        return self.headers.get(b"connection", b"").lower() != b"close"


class HttpServer(socketserver.ThreadingTCPServer):
    """A server on a free port of this machine, which sends what `answer` says."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, answer: Callable[[Request], Answer]) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.answer = answer

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away are part of the tests; tells of anything else."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Connection(socketserver.BaseRequestHandler):
    """One HTTP/1.1 connection, read by hand: http.server takes longer to read headers than the answers take to make."""

    server: HttpServer
    request: socket.socket
    buffer = b""

    def handle(self) -> None:
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while request := self._read():
            if not self._send(self.server.answer(request)) or not request.keeps_alive:
                return

    def _read(self) -> Request | None:
        """The next request; None when the client has gone."""
        end = self._receive_until(lambda: self.buffer.find(b"\r\n\r\n"))
        if end is None:
            return None
        line, *fields = self.buffer[:end].split(b"\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (entry.partition(b":") for entry in fields)}
        self.buffer = self.buffer[end + 4 :]
        if b"expect" in headers:
            self.request.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        length = int(headers.get(b"content-length", 0))
        if self._receive_until(lambda: 0 if len(self.buffer) >= length else -1) is None:
            return None
        body, self.buffer = self.buffer[:length], self.buffer[length:]
        method, path, _ = line.decode().split(" ", 2)
        return Request(method, path, headers, body)

    def _receive_until(self, found: Callable[[], int]) -> int | None:
        while (position := found()) < 0:
            received = self.request.recv(65536)
            if not received:
                return None
            self.buffer += received
        return position

    def _send(self, answer: Answer) -> bool:
        """Sends the answer; says whether the connection is still in order."""
        if answer.delivery == "reset":
            self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.request.close()
            return False
        promised = len(answer.body) + 100 * (answer.delivery == "cut")
        self.request.sendall(_HEAD % (answer.status, _PHRASES[answer.status], promised) + answer.body)
        return answer.delivery != "cut"


_HEAD = b"HTTP/1.1 %d %s\r\nContent-Type: application/x-amz-json-1.1\r\nContent-Length: %d\r\n\r\n"
_PHRASES = {status.value: status.phrase.encode() for status in HTTPStatus}
