"""What goes wrong with calls: faults that take certain ones, storms that take any, and limits of rate."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus

import orjson

from tests.server.answers import Answer
from tests.server.protocols import Call
from tests.server.registry import Item


@dataclass
class Fault:
    """Answers matching calls with `answer`, `times` times, after letting `after` of them through."""

    answer: Answer
    times: float
    after: int
    operation: str
    region: str | None
    repository: str | None = None
    image: str | None = None

    def takes(self, call: Call) -> bool:
        if call.name != self.operation or self.region not in (None, call.region) or self.times <= 0:
            return False
        if self.repository is not None and not _concerns_repository(call.parameters, self.repository):
            return False
        if self.image is not None and not _concerns_image(call.parameters, self.image):
            return False
        if self.after > 0:
            self.after -= 1
            return False
        self.times -= 1
        return True


def _concerns_repository(parameters: Item, name: str) -> bool:
    return (
        parameters.get("repositoryName") == name
        or name in parameters.get("repositoryNames", ())
        or parameters.get("resourceArn", "").endswith(f":repository/{name}")
        or f":repository/{name}/sha256:" in parameters.get("filter", {}).get("resourceId", "")
    )


def _concerns_image(parameters: Item, digest: str) -> bool:
    image_ids = [parameters.get("imageId"), parameters.get("subjectId"), *parameters.get("imageIds", ())]
    return any(image_id and image_id.get("imageDigest") == digest for image_id in image_ids)


@dataclass
class Bucket:
    """A token bucket: `rate` calls a second, `burst` at once."""

    rate: float
    burst: float
    tokens: float = 0
    filled_at: float = field(default_factory=time.monotonic)
    clock: Callable[[], float] = time.monotonic

    def fill(self) -> None:
        now = self.clock()
        self.tokens = min(self.burst, self.tokens + (now - self.filled_at) * self.rate)
        self.filled_at = now

    def change(self, rate: float, burst: float) -> None:
        """Other limits from now on."""
        self.fill()
        self.rate, self.burst = rate, burst

    def grants(self) -> bool:
        self.fill()
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


class Storm:
    """Answers each call, with probability `share`, with one of `answers` instead of what it should get.

    What a call meets depends on the seed, on the call and on how often it was made, not on the order of calls.
    """

    def __init__(self, share: float, answers: Sequence[Answer], seed: int, operations: Collection[str] | None) -> None:
        self.share = share
        self.answers = answers
        self.seed = seed
        self.operations = operations
        self.struck = 0
        """How many calls it has met."""
        self._made: Counter[str] = Counter()

    def strikes(self, call: Call, account: str) -> Answer | None:
        """What the call meets; None when it gets through."""
        if self.operations is not None and call.name not in self.operations:
            return None
        asked = f"{call.name} {account} {call.region} {orjson.dumps(call.parameters, option=orjson.OPT_SORT_KEYS)!r}"
        self._made[asked] += 1
        dice = random.Random(f"{self.seed} {self._made[asked]} {asked}")
        if dice.random() >= self.share:
            return None
        self.struck += 1
        return dice.choice(self.answers)


def cut_short(answer: Answer, like: Answer) -> Answer:
    """The first half of a good answer, whatever its operation, and the connection's end as that of `like`."""
    if answer.status != HTTPStatus.OK:
        return answer
    return Answer(body=answer.body[: len(answer.body) // 2], delivery=like.delivery)
