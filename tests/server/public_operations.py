"""What each operation of ecr-public answers, from what the public registry of an account holds."""

from __future__ import annotations

from tests.server.registry import Item, PublicRegistry, Registry, given
from tests.server.registry_operations import Operation
from tests.server.store_operations import StoreOperations, existing, of_repository


class PublicOperations(StoreOperations):
    """The operations of ecr-public."""

    def table(self) -> dict[str, Operation]:
        """All operations that are served, by the name under which their calls are counted."""
        return {
            "ecr-public:DescribeRegistries": self.public_describe_registries,
            "ecr-public:GetRegistryCatalogData": self.public_get_registry_catalog_data,
            "ecr-public:DescribeRepositories": self.public_describe_repositories,
            "ecr-public:DescribeImages": self.public_describe_images,
            "ecr-public:DescribeImageTags": self.public_describe_image_tags,
            "ecr-public:GetRepositoryCatalogData": self.public_get_repository_catalog_data,
            "ecr-public:GetRepositoryPolicy": self.public_get_repository_policy,
            "ecr-public:ListTagsForResource": self.public_list_tags_for_resource,
        }

    def public_describe_registries(self, registry: Registry, parameters: Item) -> Item:
        return self.pages.page("registries", [registry.public.registry], parameters)

    def public_get_registry_catalog_data(self, registry: Registry, parameters: Item) -> Item:
        return {"registryCatalogData": registry.public.registry_catalog_data}

    def public_describe_repositories(self, registry: Registry, parameters: Item) -> Item:
        return self.describe_repositories(registry.public, parameters)

    def public_describe_images(self, registry: Registry, parameters: Item) -> Item:
        name = existing(registry.public, parameters["repositoryName"])
        if "imageIds" in parameters:
            return self.images_by_id(registry.public, name, parameters)
        return self.pages.page("imageDetails", list(registry.public.images_of(name).values()), parameters)

    def public_describe_image_tags(self, registry: Registry, parameters: Item) -> Item:
        name = existing(registry.public, parameters["repositoryName"])
        tags = [
            _public_tag(registry.public, name, image, tag)
            for image in registry.public.images_of(name).values()
            for tag in image.get("imageTags", ())
        ]
        return self.pages.page("imageTagDetails", tags, parameters)

    def public_get_repository_catalog_data(self, registry: Registry, parameters: Item) -> Item:
        public, code = registry.public, "RepositoryCatalogDataNotFoundException"
        name = existing(public, parameters["repositoryName"])
        return {"catalogData": of_repository(public, name, public.catalog_data, code)}

    def public_get_repository_policy(self, registry: Registry, parameters: Item) -> Item:
        return self.get_repository_policy(registry.public, parameters)

    def public_list_tags_for_resource(self, registry: Registry, parameters: Item) -> Item:
        return self.list_tags_for_resource(registry.public, parameters)


def _public_tag(public: PublicRegistry, name: str, image: Item, tag: str) -> Item:
    members = ("imageDigest", "imageSizeInBytes", "imagePushedAt", "imageManifestMediaType", "artifactMediaType")
    created_at = public.tag_created_at.get((name, tag), image.get("imagePushedAt"))
    detail = {member: image[member] for member in members if member in image}
    return given({"imageTag": tag, "createdAt": created_at, "imageDetail": detail})
