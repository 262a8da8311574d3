"""An endpoint over HTTP, on this machine only, for what the demo asks of AWS."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from threading import Thread
from typing import Any

from ecr_source.cli.demo_registry.answers import Answers, NotThere

_REGION = re.compile(r"Credential=[^/]+/\d+/([^/]+)/")

_OPERATIONS_BY_PATH = {"/coverage/list": "ListCoverage", "/cluster/get": "GetClustersForImage"}
"""Amazon Inspector's: the other services name the operation in a header."""

_FUNCTIONS = "/2015-03-31/functions"
"""AWS Lambda's, of which nothing else is asked where there is no function."""

_SECONDS_UNTIL_SHUT = 0.05

_IDENTITY = """\
<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>
<Arn>arn:aws:iam::{account}:user/demo</Arn><UserId>demo</UserId><Account>{account}</Account>
</GetCallerIdentityResult></GetCallerIdentityResponse>"""


@contextmanager
def serving(account: str, answers: Mapping[str, Answers]) -> Iterator[str]:
    """The URL of an endpoint that gives the answers of each region to whoever asks, as the account."""
    server = _Endpoint(account, answers)
    Thread(target=server.serve_forever, args=[_SECONDS_UNTIL_SHUT], daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


class _Endpoint(ThreadingTCPServer):  # HTTPServer would ask DNS for its own name
    daemon_threads = True
    request_queue_size = 128  # connections that come at once

    def __init__(self, account: str, answers: Mapping[str, Answers]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.account = account
        self.answers = answers


class _Handler(BaseHTTPRequestHandler):
    server: _Endpoint
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body in one packet

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        operation = self.headers.get("X-Amz-Target", "").rpartition(".")[2] or _OPERATIONS_BY_PATH.get(self.path)
        if operation is None:  # STS has neither; it is asked who asks, and nothing else
            self._send(HTTPStatus.OK, _IDENTITY.format(account=self.server.account))
            return
        (region,) = _REGION.findall(self.headers["Authorization"])
        self._answer(region, operation, json.loads(body or "{}"))

    def do_GET(self) -> None:
        (region,) = _REGION.findall(self.headers["Authorization"])
        self._answer(region, "ListFunctions" if self.path.startswith(_FUNCTIONS) else self.path, {})

    def _answer(self, region: str, operation: str, asked: dict[str, Any]) -> None:
        try:
            self._send(HTTPStatus.OK, json.dumps(self.server.answers[region].answer(operation, asked)))
        except NotThere as error:
            self._send(HTTPStatus.BAD_REQUEST, json.dumps({"__type": str(error)}))

    def _send(self, status: HTTPStatus, body: str) -> None:
        content = body.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Nothing: the run tells how it went."""
