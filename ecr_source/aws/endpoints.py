"""Which endpoints are asked that are not AWS's own."""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from ipaddress import ip_address
from urllib.parse import urlsplit

from botocore.client import BaseClient
from botocore.configprovider import ConfiguredEndpointProvider
from botocore.exceptions import BotoCoreError

from ecr_source.aws.access import Access
from ecr_source.catalog.model import botocore_session, shared_session


def foreign_endpoints(access: Access, services: Collection[str]) -> dict[str, str]:
    """The URL of each of `services` (botocore's names) that is not asked at AWS's own endpoint, without a call.

    Such a URL comes from `access`, from AWS_ENDPOINT_URL and AWS_ENDPOINT_URL_<SERVICE>, or from `endpoint_url` and the
    section `services` of the AWS config file. AWS's own are under the DNS suffixes of its partitions, and encrypted.
    Where that configuration cannot be read there are none; the first call says why.
    """
    try:
        urls = {service: access.endpoint_url or _configured(service, access.profile) for service in sorted(services)}
    except BotoCoreError:
        return {}
    return {service: url for service, url in urls.items() if url and not _is_of_aws(url)}


def endpoint_lines(foreign: dict[str, str], services: Collection[str]) -> list[str]:
    """What a person is told of `foreign`, which `foreign_endpoints` returned for `services`: a line for each endpoint,
    or one for all."""
    shown = {service: f"{url}{'' if _is_private(url) else ' (not encrypted)'}" for service, url in foreign.items()}
    if set(foreign) == set(services) and len(set(shown.values())) == 1:
        return [f"endpoint: {next(iter(shown.values()))}"]
    return [f"endpoint of {service}: {url}" for service, url in shown.items()]


def endpoint_of(client: BaseClient) -> str:
    """The URL that a client asks; empty where it is AWS's own."""
    url: str = client.meta.endpoint_url
    return "" if _is_of_aws(url) else url


def _configured(service: str, profile: str | None) -> str | None:
    session = botocore_session(profile)
    if session.get_config_variable("ignore_configured_endpoint_urls"):
        return None
    provider = ConfiguredEndpointProvider(session.full_config, session.get_scoped_config(), service)
    url: str | None = provider.provide()
    return url


def _is_of_aws(url: str) -> bool:
    scheme, host = _scheme_and_host(url)
    return scheme == "https" and host.endswith(_suffixes())


def _is_private(url: str) -> bool:
    """Whether nobody else can read what goes over the wire: it is encrypted, or does not leave the machine."""
    scheme, host = _scheme_and_host(url)
    if scheme != "http" or host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _scheme_and_host(url: str) -> tuple[str, str]:
    try:
        parts = urlsplit(url)
        return parts.scheme, (parts.hostname or "").rstrip(".")
    except ValueError:  # no URL; who asks it says so
        return "", ""


@cache
def _suffixes() -> tuple[str, ...]:
    partitions = shared_session().get_component("data_loader").load_data("partitions")["partitions"]
    outputs = [partition["outputs"] for partition in partitions]
    return tuple({f".{output[name]}" for output in outputs for name in ("dnsSuffix", "dualStackDnsSuffix")})
