"""S3 for dlt's destination filesystem, by Arrow, where s3fs is not installed."""

from __future__ import annotations

import datetime
from contextlib import suppress
from importlib.util import find_spec
from typing import Any, ClassVar
from urllib.parse import urlsplit

import fsspec
from botocore.session import Session
from botocore.utils import get_environ_proxies
from dlt.destinations.impl.filesystem.filesystem import FilesystemClient
from fsspec.implementations.arrow import ArrowFSWrapper
from pyarrow.fs import FileInfo, FileType, S3FileSystem

from ecr_source.errors import DestinationUnusable

_TAKEN = {"region_name"}
_ONLY_S3FS = {"s3_additional_kwargs", "requester_pays"}
"""What would be missed: an encryption that was asked for, for example."""


class ArrowS3(ArrowFSWrapper):  # type: ignore[misc]  # fsspec has no types
    """Arrow's S3 file system, made from the arguments that dlt has for the one of s3fs."""

    cachable: ClassVar = False
    """The credentials are those of the moment; an old instance may hold expired ones."""

    def __init__(
        self,
        key: str | None = None,
        secret: str | None = None,
        token: str | None = None,
        profile: str | None = None,
        endpoint_url: str | None = None,
        client_kwargs: dict[str, Any] | None = None,
        **others: Any,
    ) -> None:
        refused = {*others} & _ONLY_S3FS | {f"client_kwargs.{name}" for name in {*(client_kwargs or {})} - _TAKEN}
        if refused:
            raise DestinationUnusable(f"{min(refused)} is an option of s3fs, which is not used for S3: leave it out")
        session = Session(profile=profile)
        if not key and (credentials := session.get_credentials()):
            # boto3's chain and not Arrow's own, so that both take what AWS_PROFILE says.
            frozen = credentials.get_frozen_credentials()
            key, secret, token = frozen.access_key, frozen.secret_key, frozen.token
        region = (client_kwargs or {}).get("region_name") or session.get_config_variable("region")
        endpoint = urlsplit(endpoint_url or "")
        settings = {
            "access_key": key,
            "secret_key": secret,
            "session_token": token,
            "region": region,
            "scheme": endpoint.scheme,
            "endpoint_override": endpoint.netloc,
            # As boto3 finds them, because Arrow looks for none.
            "proxy_options": _proxy(endpoint_url or f"https://s3.{region}.amazonaws.com"),
            "tls_ca_file_path": session.get_config_variable("ca_bundle"),
        }
        super().__init__(S3FileSystem(**{name: value for name, value in settings.items() if value}))

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        """Does nothing: S3 has no folders, and Arrow would make empty objects, and the bucket."""

    def _make_entry(self, info: FileInfo) -> dict[str, Any]:
        entry: dict[str, Any] = super()._make_entry(info)
        # The name that s3fs has for it. A prefix has no time.
        return entry | {"LastModified": entry["mtime"] or datetime.datetime.fromtimestamp(0, datetime.UTC)}


def _proxy(url: str) -> str | None:
    proxies: dict[str, str] = get_environ_proxies(url)
    return proxies.get(urlsplit(url).scheme)


def provide_s3() -> None:
    """Makes `s3://` known to fsspec, unless s3fs does.

    s3fs comes with aiobotocore, which asks for a botocore that is older than the one whose service model the catalog
    needs: they cannot be installed together.
    """
    if find_spec("s3fs") is None:
        fsspec.register_implementation("s3", ArrowS3, clobber=True)


def check_bucket(lake: FilesystemClient) -> None:
    """Checks that the bucket of a lake on S3 is there.

    Raises:
        DestinationUnusable: S3 says that it is not.
    """
    if not isinstance(lake.fs_client, ArrowS3):
        return
    bucket = lake.bucket_path.partition("/")[0]
    with suppress(OSError):  # whoever may write into a bucket need not be allowed to ask for it
        if lake.fs_client.fs.get_file_info(bucket).type == FileType.NotFound:
            raise DestinationUnusable(
                f'there is no bucket "{bucket}": make it, or correct the bucket_url {lake.config.bucket_url}'
            )
