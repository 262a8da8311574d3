"""`ecr-source simulate-lifecycle`: what a policy that is not there would do to what was loaded."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import dlt
import pytest

from ecr_source import ecr_source, load
from ecr_source.catalog.documents.lifecycle_refusals import read_new_lifecycle
from ecr_source.destinations.destination import make_destination
from ecr_source.destinations.reading.duckdb_file import open_file
from ecr_source.destinations.views.simulation import policy_in_place
from tests.conftest import environment, isolate, make_pipeline, new_warehouse
from tests.forked import run_forked
from tests.server.ecr_server import EcrServer, error, serving
from tests.server.registry import digest_of
from tests.views.lifecycle_evaluator import Image, Repository
from tests.views.lifecycle_policies import (
    ANY,
    EXAMPLES,
    compare,
    days,
    keep,
    policy_text,
    put,
    random_images,
    random_rules,
    rule,
)
from tests.warehouse import DATASET, DESTINATIONS, DuckDbFile, Warehouse

Simulate = Callable[..., subprocess.CompletedProcess[str]]

GB = 1_073_741_824
OF_EFFECT = ("image_digest", "effect", "reason", "rule_priority", "action", "days_until_action")
IMAGES = {name: random_images(Random(name), name) for name in (f"random/{number}" for number in range(30))}


@pytest.fixture(scope="module")
def server() -> Iterator[EcrServer]:
    with serving() as running:
        registry = running.registry("eu-west-1")
        put(registry, "team/api", EXAMPLES["all-images-b"].images.values(), apart=timedelta(seconds=1))
        put(registry, "team/web", [Image("web", ("1",), pushed=20), Image("old web", pushed=40)])
        put(registry, "other", [Image("other", pushed=50)])
        for image in [*registry.images["team/api"].values(), *registry.images["team/web"].values()]:
            image["imageSizeInBytes"] = 10 * GB
        for name, images in IMAGES.items():
            put(running.registry("us-east-1"), name, images)
        yield running


@pytest.fixture(scope="module", params=DESTINATIONS)
def loaded(request: pytest.FixtureRequest, server: EcrServer, tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """Images with their manifests, and no policies: nobody has asked for these."""
    folder = tmp_path_factory.mktemp(request.param)
    warehouse = new_warehouse(request, request.param, folder / "ecr.duckdb")
    with pytest.MonkeyPatch.context() as patch:
        isolate(patch, folder)
        source = ecr_source(
            regions=["eu-west-1", "us-east-1"],
            endpoint_url=server.url,
            tables=["images", "manifests"],
            moves_last_recorded_pull_time=True,
        )
        assert not load(make_pipeline(folder / "pipelines", warehouse), source).incomplete
    return warehouse


@pytest.fixture
def simulate(server: EcrServer, loaded: Warehouse, tmp_path: Path) -> Simulate:
    """Simulates the policy of some rules, or a text."""

    def simulated(policy: list[dict[str, Any]] | str, *arguments: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "policy.json").write_text(policy if isinstance(policy, str) else policy_text(policy))
        return run_forked(("simulate-lifecycle", "policy.json", *arguments), environment(server, loaded), timeout=60)

    return simulated


def test_a_policy_is_judged_over_what_was_loaded_without_a_call_and_without_a_change(
    simulate: Simulate, server: EcrServer, loaded: Warehouse
) -> None:
    before, calls = loaded.tables(), server.calls.total()
    rules = EXAMPLES["all-images-b"].rules
    done = simulate(rules, "--repository", "team/*", "--format", "json")
    assert (done.returncode, done.stderr) == (0, "")
    of = {row.pop("repository_name"): row for row in json.loads(done.stdout)}
    assert {*of} == {"team/api", "team/web"}
    of_api = of["team/api"]
    assert of_api.pop("as_of")
    assert of_api == {
        "registry_id": "123456789012",
        "region": "eu-west-1",
        "images": 5,
        "expiring_images": 4,  # B and E are older than a day here
        "expiring_bytes_upper_bound": 40 * GB,
        "archiving_images": 0,
        "archiving_bytes_upper_bound": 0,
        "expiring_images_in_30_days": 0,
        "expiring_bytes_in_30_days_upper_bound": 0,
        "archiving_images_in_30_days": 0,
        "archiving_bytes_in_30_days_upper_bound": 0,
        "usd_per_month_upper_bound": 4.0,
        "perhaps_held_images": 0,
        "unknown_images": 0,
    }

    done = simulate(rules, "--repository", "team/*", "--images", "--format", "json")
    image = {"registry_id": "123456789012", "region": "eu-west-1", "image_size_in_bytes": 10 * GB, "action": "expire"}
    acted_on = [
        ("team/api", "A", "alpha-1, beta-1", 1),
        ("team/api", "B", None, 2),
        ("team/api", "D", "git hash", 3),
        ("team/api", "E", None, 2),
        ("team/web", "old web", None, 2),
    ]
    assert json.loads(done.stdout) == [
        image
        | {"repository_name": name, "image_digest": digest_of(digest), "image_tags": tags, "rule_priority": priority}
        for name, digest, tags, priority in acted_on
    ]
    assert (server.calls.total(), loaded.tables()) == (calls, before)


def test_it_is_a_table_for_people_and_lines_for_programs(simulate: Simulate) -> None:
    rules = [rule(1, **ANY, **days(45))]
    of_repository = simulate(rules, "--repository", "other")
    assert of_repository.stdout.splitlines()[0].split()[:5] == [
        *("registry_id", "region", "repository_name", "images", "expiring_images"),
    ]
    (line,) = of_repository.stdout.splitlines()[1:]
    assert line.split()[:5] == ["123456789012", "eu-west-1", "other", "1", "1"]
    of_images = simulate(rules, "--repository", "other", "--images", "--format", "csv").stdout
    header = '"registry_id","region","repository_name","image_digest","image_tags","image_size_in_bytes"'
    values = f'"123456789012","eu-west-1","other","{digest_of("other")}",,1000,1,"expire"'
    assert of_images == f'{header},"rule_priority","action"\n{values}\n'


@pytest.mark.parametrize("loaded", ["duckdb"], indirect=True)  # test_lifecycle.py has random policies in Postgres
def test_random_policies_do_to_each_image_what_the_plain_evaluator_says(loaded: Warehouse) -> None:
    assert isinstance(loaded, DuckDbFile)
    random = Random(2026)
    with open_file(loaded.path, DATASET) as reader:
        for _ in range(25):
            rules = random_rules(random)
            in_place = policy_in_place(read_new_lifecycle(policy_text(rules)), [*IMAGES])
            rows = reader.rows_with("ecr_lifecycle_effects", in_place, {})
            found = [row for batch in rows.batches for row in zip(*map(batch.column, OF_EFFECT), strict=True)]
            effects = [tuple(value.as_py() for value in row) for row in found]
            compare(effects, {name: Repository(rules, images) for name, images in IMAGES.items()})


def refused(done: subprocess.CompletedProcess[str]) -> str:
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    return line.removeprefix("ecr-source: ")


def test_what_cannot_be_simulated_is_told_in_one_sentence(simulate: Simulate) -> None:
    twice = [rule(1, "a*", **keep(1)), rule(1, "b*", **keep(1))]
    assert refused(simulate(twice)) == (
        'ECR would refuse the lifecycle policy in "policy.json":'
        " rules[1].rulePriority is 1, as that of a rule before it"
    )
    assert 'ECR would refuse the lifecycle policy in "policy.json": it is not JSON' in refused(simulate("{"))
    rules = [rule(1, **ANY, **keep(1))]
    assert refused(simulate(rules, "--format", "xml")) == 'unknown format "xml": it is one of table, json, csv'
    assert refused(simulate(rules, "--repository", "nobody/*")) == (
        'no repository with images was loaded that matches "nobody/*"'
    )
    assert "--region means nothing to simulate-lifecycle" in refused(simulate(rules, "--region", "eu-west-1"))


def test_a_policy_that_cannot_be_read_and_images_that_were_not_loaded_are_told(
    server: EcrServer, tmp_path: Path
) -> None:
    env = environment(server, tmp_path / "none.duckdb")
    assert refused(run_forked(("simulate-lifecycle", "no.json"), env, timeout=60)) == (
        'cannot read "no.json": No such file or directory'
    )
    (tmp_path / "policy.json").write_text(policy_text([rule(1, **ANY, **keep(1))]))
    assert 'there is no database "' in refused(run_forked(("simulate-lifecycle", "policy.json"), env, timeout=60))
    assert run_forked(("run", "--table", "repositories"), env, timeout=60).returncode == 0
    said = refused(run_forked(("simulate-lifecycle", "policy.json"), env, timeout=60))
    assert 'has no table "images": load it: ' in said
    assert "--table images,image_tags" in said


def test_repositories_whose_images_could_not_be_read_are_named(tmp_path: Path) -> None:
    with serving() as server:
        for name in ("team/api", "team/web", "other"):
            server.registry().put(name)
        server.registry().put_image("team/web", tags=["v1"])
        for name in ("team/api", "other"):
            server.fail(error("AccessDeniedException", "not you"), operation="DescribeImages", repository=name)
        env = environment(server, tmp_path / "ecr.duckdb")
        assert run_forked(("run", "--table", "repositories,images"), env, timeout=60).returncode == 1
    (tmp_path / "policy.json").write_text(policy_text([rule(1, **ANY, **keep(1))]))
    unread = "not judged, because their images could not be read: "
    for chosen, named in (((), "{0}/other, {0}/team/api"), (("--repository", "team/*"), "{0}/team/api")):
        done = run_forked(("simulate-lifecycle", "policy.json", *chosen), env, timeout=60)
        assert (done.returncode, done.stderr) == (0, f"{unread}{named.format('123456789012/eu-west-1')}\n")


def test_a_lake_is_judged_too(server: EcrServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESTINATION__FILESYSTEM__BUCKET_URL", str(tmp_path / "lake"))
    into = make_destination("filesystem", tmp_path)
    pipeline = dlt.pipeline("ecr", pipelines_dir=str(tmp_path / "dlt"), destination=into, dataset_name=DATASET)
    load(
        pipeline,
        ecr_source(mode="incremental", regions=["eu-west-1"], endpoint_url=server.url, tables=["images"]),
    )
    (tmp_path / "policy.json").write_text(policy_text([rule(1, **ANY, **keep(1))]))
    lake: dict[str, str | None] = {"SOURCES__ECR__DESTINATION": "filesystem", "SOURCES__ECR__DATABASE": None}
    env = environment(server, DuckDbFile(Path("unused")), lake)
    asked = ("simulate-lifecycle", "policy.json", "--repository", "team/web", "--images", "--format", "json")
    done = run_forked(asked, env, timeout=60)
    assert done.returncode == 0, done.stderr
    assert [row["image_digest"] for row in json.loads(done.stdout)] == [digest_of("old web")]
