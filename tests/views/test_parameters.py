"""Prices, quotas and thresholds: a setting overrides them, and the views that use them follow."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import dlt
import pytest

from ecr_source import ecr_source
from ecr_source.destinations.views.parameters import PARAMETERS
from ecr_source.errors import ConfigurationError
from ecr_source.loading.load import load as load_with_views
from tests.conftest import Row
from tests.server.ecr_server import EcrServer
from tests.views.conftest import days_ago
from tests.views.pushed import GB
from tests.warehouse import POSTGRES_AT_NIGHT, Warehouse

Query = Callable[[str], list[Row]]
Ecr = Callable[..., subprocess.CompletedProcess[str]]

STORAGE = "SELECT usd_per_month_upper_bound, share_of_quota FROM ecr_storage"


def configure(*lines: str) -> None:
    Path(".dlt").mkdir(exist_ok=True)
    Path(".dlt/config.toml").write_text("\n".join(["[sources.ecr.parameters]", *lines, ""]))


@POSTGRES_AT_NIGHT
def test_what_a_setting_overrides_is_in_the_table_of_parameters_and_in_all_that_is_reckoned_by_it(
    server: EcrServer,
    pipeline: dlt.Pipeline,
    warehouse: Warehouse,
    query: Query,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    registry = server.registry()
    registry.put("app")
    registry.put_image("app", "sha256:a", ["1"], imageSizeInBytes=100 * GB)
    registry.put_image("app", "sha256:b", ["2"], imageSizeInBytes=3072 * GB, imageStatus="ARCHIVED")
    registry.scan("app", "sha256:a", completed_at=days_ago(20))

    def load(**parameters: float) -> None:
        source = ecr_source(
            regions=["eu-west-1"], endpoint_url=server.url, tables=["images", "repositories", "findings"]
        )
        with warehouse.loading():
            load_with_views(pipeline, source, parameters=parameters)

    load()
    assert query("SELECT name, value FROM ecr_parameters ORDER BY name") == sorted(
        (name, one.value) for name, one in PARAMETERS.items()
    )
    assert query(STORAGE) == [(pytest.approx(10 + 307.2), 2 / 100_000)]
    assert query("SELECT scan_state FROM ecr_scan_coverage WHERE image_tags = '1'") == [("scanned",)]

    monkeypatch.setenv("SOURCES__ECR__PARAMETERS__STORAGE_PRICE", "0.2")
    monkeypatch.setenv("SOURCES__ECR__PARAMETERS__IMAGES_PER_REPOSITORY", "4")
    load(archive_price_up_to=2, stale_scan_after=10)
    assert query("SELECT name, value, unit, looked_up_on FROM ecr_parameters WHERE source = 'settings' ORDER BY 1") == [
        ("archive_price_up_to", 2, "TB", None),
        ("images_per_repository", 4, "images", None),
        ("stale_scan_after", 10, "days", None),
        ("storage_price", 0.2, "USD per GB-month", None),
    ]
    assert query(STORAGE) == [(pytest.approx(20 + 204.8 + 1024 * 0.07), 0.5)]
    assert query("SELECT scan_state FROM ecr_scan_coverage WHERE image_tags = '1'") == [("stale",)]

    monkeypatch.delenv("SOURCES__ECR__PARAMETERS__STORAGE_PRICE")
    load(images_per_repository=0)
    assert query(STORAGE) == [(pytest.approx(10 + 307.2), None)]


@POSTGRES_AT_NIGHT
def test_the_last_run_says_the_parameters_and_an_option_comes_before_a_variable_before_a_file(
    server: EcrServer, ecr: Ecr, query: Query
) -> None:
    server.registry().put("app")
    configure("storage_price = 0.3", "archive_price = 0.3", "bytes_per_gb = 1000000000")
    variables = {"SOURCES__ECR__PARAMETERS__ARCHIVE_PRICE": "0.2", "SOURCES__ECR__PARAMETERS__STORAGE_PRICE": "0.2"}
    options = ("--parameter", "storage_price=0.1,stale_scan_after=7")
    done = ecr("run", *options, env={**variables})
    assert done.returncode == 0, done.stderr
    overridden = "SELECT name, value FROM ecr_parameters WHERE source = 'settings' ORDER BY name"
    of_first = [("archive_price", 0.2), ("bytes_per_gb", 1e9), ("stale_scan_after", 7), ("storage_price", 0.1)]
    assert query(overridden) == of_first
    assert ecr("query", "ecr_parameters", env={"SOURCES__ECR__PARAMETERS__STORAGE_PRICE": "9"}).returncode == 0
    assert query(overridden) == of_first
    configure()
    assert ecr("run").returncode == 0
    assert query(overridden) == []


def test_a_lake_is_asked_with_the_parameters_that_are_configured_when_it_is(server: EcrServer, ecr: Ecr) -> None:
    lake = {
        "SOURCES__ECR__DESTINATION": "filesystem",
        "DESTINATION__FILESYSTEM__BUCKET_URL": str(Path("lake").absolute()),
        "SOURCES__ECR__TABLE_FORMAT": "delta",
        "SOURCES__ECR__DATABASE": None,
    }
    server.registry().put("app")
    done = ecr("run", env=lake)
    assert done.returncode == 0, done.stderr
    configure("storage_price = 0.3")
    asked = "SELECT value, source FROM ecr_parameters WHERE name = 'storage_price'"
    done = ecr("query", asked, "--format", "csv", env=lake)
    assert done.stdout.splitlines()[1:] == ['0.3,"settings"'], done.stderr
    refused = ecr("run", "--parameter", "storage_price=0.2", env=lake)
    assert refused.returncode == 2
    assert "--parameter means nothing without a database that has views" in refused.stderr


WRONG = {
    "an option": (["--parameter", "storage_prize=1"], {}, [], 'unknown parameter "storage_prize"; did you mean'),
    "no number": (["--parameter", "storage_price"], {}, [], 'the parameter storage_price is "": give a number'),
    "a variable": (
        *([], {"SOURCES__ECR__PARAMETERS__STORAGE_PRIZE": "1"}, []),
        "nobody reads the variable SOURCES__ECR__PARAMETERS__STORAGE_PRIZE; did you mean"
        ' "SOURCES__ECR__PARAMETERS__STORAGE_PRICE"?',
    ),
    "a text": ([], {}, ['storage_price = "cheap"'], 'the parameter storage_price is "cheap": give a number from 0 on'),
    "below zero": ([], {}, ["storage_price = -1"], 'the parameter storage_price is "-1": give a number from 0 on'),
    "a name": (
        *([], {}, ["storage_prize = 1"]),
        'nobody reads "storage_prize" in section sources.ecr.parameters of config.toml; did you mean "storage_price"?',
    ),
}


@pytest.mark.parametrize(("options", "variables", "lines", "sentence"), WRONG.values(), ids=WRONG)
def test_a_parameter_that_nobody_knows_or_that_is_no_number_is_refused_before_anything_is_read(
    server: EcrServer, ecr: Ecr, options: list[str], variables: dict[str, str], lines: list[str], sentence: str
) -> None:
    configure(*lines)
    refused = ecr("run", *options, env={**variables})
    assert refused.returncode == 2
    assert refused.stderr.startswith(f"ecr-source: {sentence}")
    assert len(refused.stderr.splitlines()) == 1
    assert server.calls.total() == 0


def test_a_program_is_told_of_a_wrong_parameter_before_anything_is_read(
    server: EcrServer, pipeline: dlt.Pipeline
) -> None:
    source = ecr_source(regions=["eu-west-1"], endpoint_url=server.url, tables=["repositories"])
    with pytest.raises(ConfigurationError, match="unknown parameter"):
        load_with_views(pipeline, source, parameters={"price": 1})
    assert server.calls.total() == 0
