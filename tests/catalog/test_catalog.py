"""The catalog against the installed service model, and one table more."""

from __future__ import annotations

import dataclasses
import gzip
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import botocore
import botocore.session
import dlt
import pytest

from ecr_source import catalog, ecr_source
from ecr_source.aws import decode
from ecr_source.catalog import model as botocore_models
from ecr_source.catalog.column import Member, OfScope
from ecr_source.catalog.coverage import named_paths
from ecr_source.catalog.model import scalar_paths
from ecr_source.catalog.schema import arrow_schema, column_descriptions, describe
from ecr_source.catalog.table import Operation, RunTable, Table
from ecr_source.catalog.tables.repository import REPOSITORIES, REPOSITORY_TAG_MUTABILITY_EXCLUSION_FILTERS
from ecr_source.extract.ledger import Outcome
from tests.conftest import Row
from tests.nightly import first_by_day
from tests.server.ecr_server import EcrServer, Registry

NO_ROW = {"nextToken", "PaginationToken"}
EVERY_TABLE: list[Table | RunTable] = [*catalog.TABLES, *catalog.RUN_TABLES]


# "ListFunctions returns a maximum of 50 items in each response, even if you set the number higher."
SMALLER_THAN_THE_MODEL_SAYS = {"ListFunctions": 50}

READ_TABLES = [*catalog.TABLES, *catalog.LISTINGS]
OPERATIONS = list(dict.fromkeys(operation for table in READ_TABLES for operation in table.operations))
# Of Inspector's members most are of other resources than images.
WHOLE_SERVICES = [operation for operation in OPERATIONS if operation.service != "inspector2"]


@pytest.mark.parametrize("operation", WHOLE_SERVICES, ids=str)
def test_every_member_of_the_response_is_in_a_column_or_left_out_with_a_reason(operation: Operation) -> None:
    named = named_paths(operation.service, operation.name)
    left = set(scalar_paths(operation)) - named
    if operation.secretive:  # nothing of it is kept but columns, so that whole structures are left out
        left = {path for path in left if not path.startswith(tuple(f"{one}{end}" for one in named for end in ".[{"))}
    assert left <= NO_ROW


@pytest.mark.parametrize("service", ["ecr", "ecr-public"])
def test_every_read_operation_fills_a_table_or_has_a_reason_not_to(service: str) -> None:
    names = botocore.session.get_session().get_service_model(service).operation_names
    reads = {f"{service}:{name}" for name in names if re.match("Describe|List|Get|BatchGet|BatchCheck", name)}
    filled = {str(operation) for operation in OPERATIONS if operation.service == service}
    left = {operation for operation in catalog.NOT_READ if operation.startswith(f"{service}:")}
    assert filled | left == reads
    assert not filled & left


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_pages_are_as_large_as_the_service_gives_them(operation: Operation) -> None:
    model = botocore.session.get_session().get_service_model(operation.service).operation_model(operation.name)
    members: Any = model.input_shape.members if model.input_shape else {}
    assert (operation.limit in members) == (operation.page_size is not None)
    if operation.page_size is not None:
        most = members[operation.limit].metadata.get("max", operation.page_size)
        assert operation.page_size == SMALLER_THAN_THE_MODEL_SAYS.get(operation.name, most)


@pytest.mark.parametrize("table", catalog.TABLES, ids=lambda table: table.name)
def test_all_fillings_of_a_table_give_the_same_types(table: Table) -> None:
    schema = arrow_schema(table)
    for filling in table.fillings:
        assert set(table.key) <= set(filling.columns) <= set(table.columns)
        for name, source in filling.sources.items():
            assert describe(filling, source)[0] == schema.field(name).type, name


@pytest.mark.parametrize("table", catalog.TABLES, ids=lambda table: table.name)
def test_a_table_is_in_one_group(table: Table) -> None:
    assert sum(table in tables for tables in catalog.GROUPS.values()) == 1


@pytest.fixture
def without_kms_key(monkeypatch: pytest.MonkeyPatch) -> Table:
    """A catalog that is older than the installed botocore: it does not know `kmsKey`."""
    columns = {name: source for name, source in REPOSITORIES.columns.items() if name != "kms_key"}
    older = dataclasses.replace(REPOSITORIES, columns=columns)
    monkeypatch.setattr(catalog, "TABLES", [older, REPOSITORY_TAG_MUTABILITY_EXCLUSION_FILTERS])
    monkeypatch.setattr(decode, "_response_schema", decode._response_schema.__wrapped__)  # made of the catalog, once
    return older


def test_a_member_that_no_column_names_fails_the_comparison(without_kms_key: Table) -> None:
    operation = without_kms_key.operation
    missing = set(scalar_paths(operation)) - named_paths(operation.service, operation.name)
    assert missing - NO_ROW == {"repositories[].encryptionConfiguration.kmsKey"}


@pytest.mark.usefixtures("without_kms_key")
def test_a_member_that_only_botocore_knows_is_kept(
    server: EcrServer, load: Callable[..., Outcome], query: Callable[[str], list[Row]]
) -> None:
    server.registry().put("api", encryptionConfiguration={"encryptionType": "KMS", "kmsKey": "the key"})
    load()
    assert query("SELECT encryption_type, unmodelled FROM repositories") == [
        ("KMS", '{"encryptionConfiguration":{"kmsKey":"the key"}}')
    ]


@pytest.mark.parametrize("table", EVERY_TABLE, ids=lambda table: table.name)
def test_every_table_and_column_is_described(table: Table | RunTable) -> None:
    assert table.description.endswith(".")
    assert all(text.endswith(".") for text in column_descriptions(table).values()), column_descriptions(table)


@pytest.mark.parametrize("table", EVERY_TABLE, ids=lambda table: table.name)
def test_keys_are_columns(table: Table | RunTable) -> None:
    assert set(table.key) <= set(table.columns)


GADGETS = Table(
    name="gadgets",
    description="One row per gadget.",
    operation=Operation("ecr", "DescribeGadgets", page_size=50),
    rows="gadgets[]",
    key=("registry_id", "region", "gadget_name"),
    cursor="made_at",
    columns={
        "registry_id": OfScope("registry_id", told_by=Member("registryId")),
        "region": OfScope("region"),
        "gadget_name": "gadgetName",
        "made_at": "madeAt",
        "weight_in_grams": "dimensions.weightInGrams",
    },
)


def add_gadgets(model: dict[str, Any]) -> None:
    """Adds the operation DescribeGadgets to a service model."""
    string, timestamp, integer = {"type": "string"}, {"type": "timestamp"}, {"type": "long"}
    model["operations"]["DescribeGadgets"] = {
        "name": "DescribeGadgets",
        "http": {"method": "POST", "requestUri": "/"},
        "input": {"shape": "DescribeGadgetsRequest"},
        "output": {"shape": "DescribeGadgetsResponse"},
    }
    model["shapes"] |= {
        "GadgetName": string,
        "GadgetTime": timestamp,
        "GadgetWeight": integer,
        "GadgetDimensions": {
            "type": "structure",
            "members": {"weightInGrams": {"shape": "GadgetWeight", "documentation": "<p>The weight, in grams.</p>"}},
        },
        "Gadget": {
            "type": "structure",
            "members": {
                "registryId": {"shape": "RegistryId"},
                "gadgetName": {"shape": "GadgetName"},
                "madeAt": {"shape": "GadgetTime"},
                "dimensions": {"shape": "GadgetDimensions"},
            },
        },
        "GadgetList": {"type": "list", "member": {"shape": "Gadget"}},
        "DescribeGadgetsRequest": {
            "type": "structure",
            "members": {
                "registryId": {"shape": "RegistryId"},
                "nextToken": {"shape": "NextToken"},
                "maxResults": {"shape": "MaxResults"},
            },
        },
        "DescribeGadgetsResponse": {
            "type": "structure",
            "members": {"gadgets": {"shape": "GadgetList"}, "nextToken": {"shape": "NextToken"}},
        },
    }


@pytest.fixture
def gadgets(server: EcrServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """A service model with one operation more, a server that serves it, and one catalog entry."""
    version = "ecr/2015-09-21"
    original = Path(botocore.__file__).parent / "data" / version / "service-2.json.gz"
    model = json.loads(gzip.decompress(original.read_bytes()))
    add_gadgets(model)
    (tmp_path / "models" / version).mkdir(parents=True)
    (tmp_path / "models" / version / "service-2.json").write_text(json.dumps(model))
    monkeypatch.setenv("AWS_DATA_PATH", str(tmp_path / "models"))

    def describe_gadgets(registry: Registry, parameters: dict[str, Any]) -> dict[str, Any]:
        made = [
            {"gadgetName": f"g{n}", "madeAt": 1_700_000_000 + n, "dimensions": {"weightInGrams": n}} for n in range(120)
        ]
        return server.page("gadgets", made, parameters)

    server.model = botocore.session.get_session().get_service_model("ecr")
    server.operations["DescribeGadgets"] = describe_gadgets
    monkeypatch.setattr(catalog, "TABLES", [*catalog.TABLES, GADGETS])
    forget_models()
    yield
    forget_models()


def forget_models() -> None:
    """Has botocore's models read again."""
    for cached in (
        botocore_models.shared_session,
        botocore_models._service_model,
        botocore_models.operation_model,
    ):
        cached.cache_clear()


@pytest.mark.usefixtures("gadgets")
@pytest.mark.parametrize("mode", first_by_day("snapshot", "history", "incremental"))
def test_one_table_more_is_one_catalog_entry_more(
    server: EcrServer, pipeline: dlt.Pipeline, query: Callable[[str], list[Row]], mode: str
) -> None:
    server.registry().put("api")
    for _ in range(2):
        pipeline.run(
            ecr_source(regions=["eu-west-1"], endpoint_url=server.url, mode=mode, tables=["gadgets", "repositories"])
        )
    assert query("SELECT region, count(*), sum(weight_in_grams) FROM gadgets GROUP BY ALL") == [
        ("eu-west-1", 120, 7140)
    ]
    assert query("SELECT count(*) FROM repositories") == [(1,)]
    assert column_descriptions(GADGETS)["weight_in_grams"] == "The weight, in grams."
    assert server.calls["DescribeGadgets"] == 2 * 3
