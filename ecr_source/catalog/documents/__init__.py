"""JSON documents that ECR delivers as text become Arrow structs: resource policies, lifecycle policies, manifests.

A text that is no such document is a fact: its struct has a `parseError`, and its lists are empty. A member that is null
counts as absent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import pyarrow as pa

from ecr_source.catalog.documents.image_manifest import MANIFEST, read_manifest
from ecr_source.catalog.documents.lifecycle_policy import LIFECYCLE, read_lifecycle
from ecr_source.catalog.documents.resource_policy import POLICY, read_policy
from ecr_source.catalog.documents.shape import Malformed, Object, checked


@dataclass(frozen=True)
class Document:
    """A kind of document: its Arrow type, with descriptions, and what reads a text as a value of that type."""

    type: pa.StructType
    parse: Callable[[str], dict[str, Any]]


def parse_documents(kind: str, texts: pa.StringArray) -> pa.StructArray:
    """One struct of `DOCUMENTS[kind].type` per text, NULL where the text is.

    Raises:
        KeyError: `DOCUMENTS` has no such kind.
    """
    document = DOCUMENTS[kind]
    # Hundreds of repositories have the same policy.
    encoded = texts.dictionary_encode()
    distinct = pa.array(_Parsed(document, encoded.dictionary.to_pylist()), document.type)
    return distinct.take(encoded.indices)


@dataclass(frozen=True)
class _Parsed(Sequence[dict[str, Any]]):
    """Parses each text when Arrow asks for it: to hold all objects at once costs a multiple, in garbage collections."""

    document: Document
    texts: list[str]

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, index: Any) -> Any:
        return self.document.parse(self.texts[index])


def _document(type_: pa.StructType, read: Callable[[Object], Object]) -> Document:
    no_rows: Object = {field.name: [] for field in type_ if pa.types.is_list(field.type)}

    def parse(text: str) -> Object:
        try:
            return {"parseError": None, **read(checked(orjson.loads(text), dict, "the document"))}
        except orjson.JSONDecodeError as error:
            return {"parseError": f"the text is not JSON: {error}", **no_rows}
        except Malformed as error:
            return {"parseError": str(error), **no_rows}

    return Document(type_, parse)


DOCUMENTS: Mapping[str, Document] = {
    "policy": _document(POLICY, read_policy),
    "lifecycle": _document(LIFECYCLE, read_lifecycle),
    "manifest": _document(MANIFEST, read_manifest),
}
"""The kinds of documents: resource policies (of IAM's grammar), lifecycle policies, image manifests."""
