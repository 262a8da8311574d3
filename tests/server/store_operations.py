"""The operations that ecr and ecr-public have in common, and how both say that there is none."""

from __future__ import annotations

from typing import Any

from tests.server.answers import AnswerError
from tests.server.pages import Pages
from tests.server.registry import Item, Store


class StoreOperations:
    """What is answered about the repositories of a registry, private or public."""

    def __init__(self, pages: Pages) -> None:
        self.pages = pages

    def describe_repositories(self, registry: Store, parameters: Item) -> Item:
        names = parameters.get("repositoryNames")
        if names is None:
            return self.pages.page("repositories", list(registry.repositories.values()), parameters)
        if "maxResults" in parameters or "nextToken" in parameters:
            raise AnswerError("InvalidParameterException", "repositoryNames excludes maxResults and nextToken")
        return {"repositories": [registry.repositories[existing(registry, name)] for name in names]}

    def images_by_id(self, registry: Store, name: str, parameters: Item) -> Item:
        if "maxResults" in parameters or "nextToken" in parameters:
            raise AnswerError("InvalidParameterException", "imageIds excludes maxResults and nextToken")
        return {"imageDetails": [asked_image(registry, name, image_id) for image_id in parameters["imageIds"]]}

    def get_repository_policy(self, registry: Store, parameters: Item) -> Item:
        name = existing(registry, parameters["repositoryName"])
        text = of_repository(registry, name, registry.policies, "RepositoryPolicyNotFoundException")
        return {"registryId": registry.account, "repositoryName": name, "policyText": text}

    def list_tags_for_resource(self, registry: Store, parameters: Item) -> Item:
        arn = parameters["resourceArn"]
        _, separator, name = arn.partition(":repository/")
        if not separator:
            raise AnswerError("InvalidParameterException", f"Invalid parameter at 'resourceArn': '{arn}'")
        return {"tags": tag_list(registry.tags.get(existing(registry, name), {}))}


def found(value: Any, code: str, message: str) -> Any:
    if value is None:
        raise AnswerError(code, message)
    return value


def existing(registry: Store, name: str) -> str:
    if name not in registry.repositories:
        raise AnswerError(
            "RepositoryNotFoundException",
            f"The repository with name '{name}' does not exist in the registry with id '{registry.account}'",
        )
    return name


def of_repository(registry: Store, name: str, children: dict[str, Any], code: str) -> Any:
    where = f"for the repository with name '{name}' in the registry with id '{registry.account}'"
    return found(children.get(name), code, f"There is none {where}")


def asked_image(registry: Store, name: str, image_id: Item) -> Item:
    return found(  # type: ignore[no-any-return]  # items are dictionaries of anything
        registry.image(name, image_id),
        "ImageNotFoundException",
        f"The image with imageId {image_id} does not exist within the repository with name '{name}'"
        f" in the registry with id '{registry.account}'",
    )


def tag_list(tags: dict[str, str]) -> list[Item]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
