"""Whatever the order of runs: afterwards the tables are what a plain reading of the registry says."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar, cast

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from ecr_source import catalog
from ecr_source.aws import decode
from ecr_source.catalog.table import RunTable, Table
from ecr_source.catalog.tables.repository import REPOSITORIES
from ecr_source.extract import walk
from ecr_source.extract.images.image_selection import Bounds
from ecr_source.extract.results import ScopeRead
from ecr_source.statuses import COMPLETE, READ
from tests.nightly import first_by_day
from tests.server.ecr_server import DENIED, EcrServer, serving
from tests.server.registry import basic_finding, enhanced_finding, package
from tests.warehouse import ON_EACH
from tests.whole import reference
from tests.whole.plain_dataset import AtOnce, DirectApi, PlainDataset, Row, now, read_once, shown

TABLES = {table.name: table for table in catalog.TABLES}

REFERENCE: dict[str, Callable[..., list[Row]]] = {
    name: getattr(reference, name)
    for name in (
        "repositories",
        "repository_tags",
        "lifecycle_policies",
        "lifecycle_policy_rules",
        "images",
        "image_tags",
        "image_scans",
        "image_scan_findings",
        "image_scan_finding_attributes",
        "image_replications",
        "image_replication_statuses",
    )
}
OF_SCANS = ("image_scans", "image_scan_findings", "image_scan_finding_attributes")
ONE_ROW_AN_IMAGE = {"image_scans", "image_replications"}
REPOSITORY = {"lifecycle_policy_rules": "owner_name"}
"""The column that names the repository, where it has another name."""

NAMES = st.sampled_from(["api", "web"])
DIGESTS = st.sampled_from(["sha256:a", "sha256:b", "sha256:c"])
SELECTIONS = st.sampled_from(
    [
        [*REFERENCE],
        [*OF_SCANS],
        ["image_scans"],
        ["image_scan_findings"],
        ["repositories", "images", "image_tags"],
        ["image_replications", "image_replication_statuses", "image_scan_findings"],
        ["lifecycle_policies", "lifecycle_policy_rules"],
    ]
)
REFUSED = st.sampled_from(["DescribeImages", "DescribeImageScanFindings", "GetLifecyclePolicy", "ListTagsForResource"])


class AnyOrder(RuleBasedStateMachine):
    """A registry that changes, and a dataset that is loaded now and then."""

    def __init__(self) -> None:
        super().__init__()
        self.server = DirectApi.server
        self.server._registries.clear()
        self.server.recover()
        self.registry = self.server.registry()
        self.dataset = PlainDataset()
        self.folder = TemporaryDirectory()
        self.moment = now() - 40 * 86_400
        self.refused: set[tuple[str, str]] = set()
        self.waiting: ScopeRead | None = None
        self.load_beside: Callable[[], None] | None = None
        self.beside_ended_at = now()
        self.may_overlap = True

    def teardown(self) -> None:
        self.folder.cleanup()

    def later(self) -> float:
        self.moment += 1
        return self.moment

    @initialize()
    def begin(self) -> None:
        for name in ("api", "web"):
            self.make_repository(name)
            for digest in ("sha256:a", "sha256:b"):
                self.push(name, digest, "latest")

    # what becomes of the registry

    @rule(name=NAMES)
    def make_repository(self, name: str) -> None:
        if name not in self.registry.repositories:
            self.registry.put(name, self.later())
            self.registry.tags[name] = {"team": f"of {self.moment}"}

    @rule(name=NAMES)
    def delete_repository(self, name: str) -> None:
        if name in self.registry.repositories:
            del self.registry.repositories[name]
            for children in self.registry.children():
                for key in [key for key in children if key == name or (isinstance(key, tuple) and key[0] == name)]:
                    children.pop(key, None)

    @rule(name=NAMES)
    def change_policy(self, name: str) -> None:
        if name in self.registry.repositories:
            rules = [{"rulePriority": int(self.later()), "selection": {}, "action": {"type": "expire"}}]
            self.registry.lifecycle_policies[name] = json.dumps({"rules": rules})

    @rule(name=NAMES, digest=DIGESTS, tag=st.sampled_from(["latest", "v1"]))
    def push(self, name: str, digest: str, tag: str) -> None:
        if name in self.registry.repositories:
            if digest in self.registry.images_of(name):
                self.registry.delete_image(name, digest)
            self.registry.put_image(name, digest, [tag], self.later())
            state = "COMPLETE" if self.moment % 2 else "IN_PROGRESS"
            self.registry.replication_statuses[name, digest] = [
                {"region": "us-west-2", "registryId": "123456789012", "status": state}
            ]

    @rule(name=NAMES, digest=DIGESTS)
    def end_replication(self, name: str, digest: str) -> None:
        for status in self.registry.replication_statuses.get((name, digest), ()):
            status["status"] = "COMPLETE"

    @rule(name=NAMES, digest=DIGESTS)
    def delete_image(self, name: str, digest: str) -> None:
        if digest in self.registry.images_of(name):
            self.registry.delete_image(name, digest)

    @rule(name=NAMES, digest=DIGESTS, status=st.sampled_from(["PENDING", "COMPLETE", "COMPLETE", "FAILED"]))
    def scan(self, name: str, digest: str, status: str) -> None:
        image = self.registry.images_of(name).get(digest)
        was_scanned = self.registry.scans.get((name, digest), {}).get("imageScanFindings")
        # That a scan begins again no listing tells: the answer before stands until it ends.
        if image is None or (status == "PENDING" and was_scanned):
            return
        is_enhanced = self.registry.scanning_configuration["scanType"] == "ENHANCED"
        number = f"CVE-{self.later():.0f}"
        found = (
            [enhanced_finding(number, [package("zlib", "1")])] if is_enhanced else [basic_finding(number, "zlib", "1")]
        )
        self.registry.scan(
            name,
            digest,
            [] if is_enhanced else found,
            found if is_enhanced else [],
            status="ACTIVE" if is_enhanced and status == "COMPLETE" else status,
            completed_at=self.moment,
        )
        if status != "PENDING":
            image["imageScanFindingsSummary"] = {"imageScanCompletedAt": self.moment}

    @rule()
    def scan_otherwise(self) -> None:
        """The registry changes between basic and enhanced scanning, and scans all anew."""
        before = self.registry.scanning_configuration["scanType"]
        self.registry.scanning_configuration = {
            "scanType": "BASIC" if before == "ENHANCED" else "ENHANCED",
            "rules": [],
        }
        for name in self.registry.repositories:
            for digest in [*self.registry.images_of(name)]:
                self.scan(name, digest, "COMPLETE")

    @rule(operation=REFUSED, name=NAMES)
    def refuse(self, operation: str, name: str) -> None:
        self.refused.add((operation, name))
        self.server.fail(DENIED, operation=operation, repository=name)

    @precondition(lambda self: self.refused)
    @rule()
    def allow(self) -> None:
        self.refused.clear()
        self.server.recover()

    # runs

    @rule(selected=SELECTIONS, latest=st.sampled_from([None, None, None, 1]))
    def run(self, selected: list[str], latest: int | None) -> None:
        before = self.rows_before()
        read = self.read(selected, bounds=Bounds(latest=latest), without=catalog.not_called("ecr"))
        self.check(read, before, latest)

    @rule(selected=SELECTIONS)
    def run_by_inspector(self, selected: list[str]) -> None:
        before = self.rows_before()
        read = self.read(selected)
        is_enhanced = self.registry.scanning_configuration["scanType"] == "ENHANCED"
        # Inspector tells of the images that it has scanned only.
        self.check(read, before, None, may_lack={"image_scans"} if is_enhanced else frozenset())

    @rule(selected=SELECTIONS, name=NAMES)
    def run_one_repository(self, selected: list[str], name: str) -> None:
        before = self.rows_before()
        read = self.read(selected, names=[name], without=catalog.not_called("ecr"))
        others = {other for other in ("api", "web") if other != name}
        if name not in self.registry.repositories:
            others.add(name)
        self.check(read, before, None, untouched=others)

    @rule(selected=SELECTIONS, calls=st.integers(0, 12))
    def run_with_a_budget(self, selected: list[str], calls: int) -> None:
        before = self.rows_before()
        self.read(selected, max_calls=calls, without=catalog.not_called("ecr"))
        for name in ONE_ROW_AN_IMAGE.intersection(selected):
            there = of_images(self.expected(name)).keys()
            missing = of_images(before.get(name, [])).keys() - of_images(self.dataset.rows.get(name, [])).keys()
            assert not missing & there, f"{name} of images that the budget did not reach"

    @rule(selected=SELECTIONS, loaded=st.integers(0, 8))
    def run_that_is_killed(self, selected: list[str], loaded: int) -> None:
        """It has read all, and loaded so many tables; the next run loads all that waits before it reads."""
        self.rows_before()
        tables = [TABLES[name] for name in selected]
        folder = Path(self.folder.name) / "killed"
        self.waiting = read_once(folder, tables, self.dataset, without=catalog.not_called("ecr"))
        self.dataset.load_tables(self.waiting, loaded)

    @precondition(lambda self: self.may_overlap and self.load_beside is None)
    @rule(selected=SELECTIONS)
    def begin_beside(self, selected: list[str]) -> None:
        """A run reads on another machine, and is not loaded yet."""
        self.load_beside = self.read_beside(selected)
        self.beside_ended_at = now()

    @precondition(lambda self: self.load_beside is not None)
    @rule()
    def end_beside(self) -> None:
        assert self.load_beside is not None
        before = self.rows_before()
        later = {
            name
            for name, status, at, _ in self.dataset.ledger
            if status == COMPLETE and at.timestamp() > self.beside_ended_at
        }
        self.load_beside()
        for name in later:
            assert self.dataset.rows.get(name, []) == before.get(name, []), f"{name}, of which there is a later reading"
        self.load_beside = None

    def read(self, selected: list[str], **how: Any) -> dict[str, str]:
        """Reads these tables, loads them, and tells the status of each."""
        read = read_once(Path(self.folder.name) / "walk", [TABLES[name] for name in selected], self.dataset, **how)
        self.dataset.load(read)
        return {one.table.name: one.status for one in read.tables}

    def rows_before(self) -> dict[str, list[Row]]:
        """The rows of each table before a run reads, with what an earlier one had left to be loaded."""
        if self.waiting:
            self.dataset.load(self.waiting)
            self.waiting = None
        return {name: list(rows) for name, rows in self.dataset.rows.items()}

    def expected(self, name: str, **bounds: Any) -> list[Row]:
        """The rows that the table should have, by a plain reading of the registry as it is."""
        return REFERENCE[name](self.registry, **bounds)

    def read_beside(self, selected: list[str]) -> Callable[[], None]:
        """Reads these tables as another machine would, and returns what loads them."""
        folder = Path(self.folder.name) / "beside"
        tables = [TABLES[name] for name in selected]
        read = read_once(folder, tables, self.dataset, without=catalog.not_called("ecr"))
        return lambda: self.dataset.load(read)

    # what must hold

    def check(
        self,
        read: dict[str, str],
        before: dict[str, list[Row]],
        latest: int | None,
        untouched: set[str] | frozenset[str] = frozenset(),
        may_lack: set[str] | frozenset[str] = frozenset(),
    ) -> None:
        """What could be read equals the reference; what could not is as it was."""
        for name, status in read.items():
            table = TABLES[name]
            if status == COMPLETE and table.operation.parent is REPOSITORIES:
                self.check_repositories(str(table.operation))
            bounds = {"latest": latest} if name in OF_SCANS else {}
            expected = self.expected(name, **bounds)
            wrong = {repository for operation, repository in self.refused if concerns(operation, table)}
            column = REPOSITORY.get(name, "repository_name")
            columns = [*expected[0]] if expected else [column]
            if expected and name == "image_scans":
                columns.remove("scan_status")  # Inspector has other words
            rows = self.dataset.rows.get(name, [])
            if status not in READ and table.operation.again:
                continue  # all that was asked was refused, and what is gone is gone all the same
            if status not in READ:
                assert rows == before.get(name, []), f"{name}, read {status}"
                continue
            loaded = [row for row in rows if row[column] not in wrong | untouched]
            wanted = [row for row in expected if row[column] not in wrong | untouched]
            if bounds.get("latest") is not None:
                self.check_bounded(name, loaded, wanted, columns)
                continue
            found, told = shown(loaded, columns), shown(wanted, columns)
            assert found <= told if name in may_lack else found == told, f"{name}, read {status}"
            kept = [row for row in before.get(name, []) if row[column] in untouched]
            assert shown([row for row in rows if row[column] in untouched], columns) == shown(kept, columns), name

    def check_repositories(self, operation: str) -> None:
        """The record has each repository that there is, and no other, of an operation that told of all."""
        record = self.dataset.rows.get(catalog.EXTRACTION_REPOSITORIES.name, [])
        told_of = {row["repository_name"] for row in record if row["operation"] == operation}
        assert told_of == {*self.registry.repositories}, operation

    def check_bounded(self, name: str, loaded: list[Row], wanted: list[Row], columns: list[str]) -> None:
        """Images within the bound are as the reference says; of the others an answer that stands was kept, or none."""
        found, bounded, whole = (of_images(rows) for rows in (loaded, wanted, self.expected(name)))
        for image in found.keys() | bounded.keys():
            told = [shown(rows.get(image, []), columns) for rows in (bounded, whole)]
            assert shown(found.get(image, []), columns) in told, f"{name} of {image}"

    @invariant()
    def nothing_is_there_twice(self) -> None:
        tables: list[Table | RunTable] = [*catalog.TABLES, *catalog.RECORD_TABLES]
        for table in tables:
            keys = [tuple(row[name] for name in table.key) for row in self.dataset.rows.get(table.name, [])]
            assert len(keys) == len(set(keys)), f"{table.name} has rows twice"


def of_images(rows: list[Row]) -> dict[tuple[str, str], list[Row]]:
    """The rows of each image."""
    found: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        found.setdefault((row["repository_name"], row["image_digest"]), []).append(row)
    return found


def concerns(operation: str, table: Table) -> bool:
    """Whether the table hangs on this operation, or on its parents."""
    operations = catalog.operations_of([table])
    return any(one.name == operation for one in operations)


@pytest.fixture(autouse=True)
def _direct(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with serving() as server:
        server.keep_requests = False
        monkeypatch.setattr(DirectApi, "server", server, raising=False)
        _answer_directly(monkeypatch)
        yield


def _answer_directly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walk, "Api", DirectApi)
    monkeypatch.setattr(walk, "Calls", AtOnce)
    monkeypatch.setattr(walk, "ThreadPoolExecutor", AtOnce)
    monkeypatch.setattr(decode, "_ARROW_THREADS", AtOnce())


ORDERS_GIVEN = os.environ.get("ECR_SOURCE_ORDERS")
ORDERS = int(ORDERS_GIVEN or 1_000)
"""How many sequences of changes and runs are played."""


@pytest.mark.parametrize("part", range(4))
def test_any_order_of_runs_leaves_what_the_registry_says(part: int) -> None:
    played = settings(
        max_examples=ORDERS // 4,
        stateful_step_count=20,
        deadline=None,
        database=None,
        # What fails is told as it was: to make it shorter takes minutes.
        phases=[Phase.generate],
        suppress_health_check=[*HealthCheck],
    )
    run_state_machine_as_test(seeded(AnyOrder, part, ORDERS_GIVEN), settings=played)


Machine = TypeVar("Machine", bound=type[RuleBasedStateMachine])


def seeded(machine: Machine, number: int, orders: str | None) -> Machine:
    """The machine, which plays the same orders in every run, and others where a number of `orders` is given."""
    return machine if orders else seed(number)(cast("Machine", type(machine.__name__, (machine,), {})))


def changes(server: EcrServer) -> Iterator[dict[str, Any]]:
    """A registry that changes, and the arguments of the run after each change."""
    registry = server.registry()
    for name in ("api", "web"):
        registry.put(name, now() - 90_000)
        for number, digest in enumerate(("sha256:a", "sha256:b", "sha256:c")):
            registry.put_image(name, digest, [f"v{number}"], now() - 90_000 + number)
            registry.scan(name, digest, [basic_finding(f"CVE-{number}", "zlib", "1")])
    yield {"max_calls": 7}
    yield {"repositories": ["web"]}
    registry.delete_image("web", "sha256:a")
    server.fail(DENIED, operation="DescribeImageScanFindings", repository="api")
    yield {}
    server.recover()
    del registry.repositories["web"]
    registry.scanning_configuration = {"scanType": "ENHANCED", "rules": []}
    registry.scan("api", "sha256:a", enhanced=[enhanced_finding("CVE-9", [package("zlib", "1")])])
    yield {"findings_from": "inspector2"}
    registry.put_image("api", "sha256:d", ["v9"], now() - 10)
    yield {"findings_latest": 2}
    server.fail(DENIED, operation="DescribeImages", repository="api")
    yield {}


@ON_EACH
@pytest.mark.parametrize("mode", first_by_day("snapshot", "history"))
def test_the_plain_merge_leaves_what_the_merge_of_dlt_leaves(
    load: Callable[..., object], query: Callable[[str], list[Any]], tmp_path: Path, mode: str
) -> None:
    server, dataset = DirectApi.server, PlainDataset()
    current = "WHERE _dlt_valid_to IS NULL" if mode == "history" else ""
    for how in changes(server):
        load(tables=[*REFERENCE], mode=mode, endpoint_url=server.url, max_in_flight=1, **how)
        read = read_once(
            tmp_path / "walk",
            [TABLES[name] for name in REFERENCE],
            dataset,
            names=how.get("repositories", ()),
            bounds=Bounds(latest=how.get("findings_latest")),
            without=catalog.not_called(how.get("findings_from", "ecr")),
            max_calls=how.get("max_calls"),
            max_in_flight=1,
        )
        dataset.load(read)
        for name in REFERENCE:
            key = TABLES[name].key
            found = [
                dict(zip(key, row, strict=True)) for row in query(f"SELECT {', '.join(key)} FROM {name} {current}")
            ]
            assert shown(found, key) == shown(dataset.rows.get(name, []), key), f"{name} after {how}"
