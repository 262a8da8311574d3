"""Answers of AWS, good and bad, whatever the protocol."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import orjson

Delivery = Literal["whole", "reset", "cut"]


@dataclass(frozen=True)
class Answer:
    """What goes over the wire: `cut` promises more bytes than it sends, `reset` drops the connection instead."""

    status: int = 200
    body: bytes = b"{}"
    delivery: Delivery = "whole"


@dataclass(frozen=True)
class ErrorAnswer(Answer):
    """An error in the JSON protocol's words; services of other protocols and words send it in theirs.

    `{user}` and `{action}` in the message stand for who called and for the IAM action of the call.
    """

    code: str = ""
    message: str = ""


class AnswerError(Exception):
    """An AWS error answer."""

    def __init__(self, code: str, message: str = "", status: int = 400) -> None:
        super().__init__(code)
        self.answer = error(code, message, status)


def error(code: str, message: str = "", status: int = 400) -> ErrorAnswer:
    """AWS's error answer."""
    message = message or f"{code} of the test server"
    return ErrorAnswer(status, orjson.dumps({"__type": code, "message": message}), code=code, message=message)


THROTTLED = error("ThrottlingException", "Rate exceeded")
DENIED = error("AccessDeniedException", "User: {user} is not authorized to perform: {action}")
BROKEN = error("ServerException", "internal", 500)
RESET = Answer(delivery="reset")
CUT = Answer(body=b'{"repositories": [{"repos', delivery="cut")
TRUNCATED = Answer(body=b'{"repositories": [{"repos')
HTML = Answer(body=b"<html><body>Welcome to the captive portal</body></html>")
