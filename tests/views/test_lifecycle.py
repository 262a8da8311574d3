"""What lifecycle policies do, by AWS's semantics: those that are there, and one that is not there yet."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from tests.conftest import Row
from tests.pages.asked_questions import question
from tests.server.ecr_server import DENIED, EcrServer
from tests.server.registry import Registry, digest_of
from tests.views.conftest import Load
from tests.views.lifecycle_evaluator import Image
from tests.views.lifecycle_policies import (
    ANY,
    EFFECTS,
    EXAMPLES,
    NOW,
    TO_ARCHIVE,
    UNTAGGED,
    compare,
    days,
    keep,
    policy_text,
    put,
    random_repositories,
    rule,
)
from tests.warehouse import POSTGRES_AT_NIGHT

Query = Callable[[str], list[Row]]

GROUPS = ["repositories.repositories", "images", "policies", "previews", "manifests"]
NAMES = ("child", "stays", "old", "goes", "perhaps", "index", "image", "sbom", "signature")


def fill_special(registry: Registry) -> None:
    """Repositories with what AWS's examples do not have."""
    put(registry, "index", [Image("child", pushed=50), Image("stays", ("1",), pushed=9, children=("child", "other"))])
    registry.lifecycle_policies["index"] = policy_text([rule(1, **UNTAGGED, **days(14))])
    put(registry, "going", [Image("old", pushed=50), Image("goes", pushed=9, children=("old", "other"))])
    registry.lifecycle_policies["going"] = policy_text([rule(1, **UNTAGGED, **days(14))])
    put(registry, "unread", [Image("perhaps", pushed=50), Image("index", ("1",), children=("a", "b"))])
    registry.lifecycle_policies["unread"] = policy_text([rule(1, **UNTAGGED, **days(14))])
    attached = [Image("sbom", ("s",), pushed=1, subject="image"), Image("signature", pushed=1, subject="sbom")]
    put(registry, "attached", [Image("image", ("1",), pushed=50), *attached])
    registry.lifecycle_policies["attached"] = policy_text([rule(1, "1", action=TO_ARCHIVE, **days(14))])
    put(registry, "long", [Image("long", pushed=1)])
    registry.lifecycle_policies["long"] = policy_text([rule(1, **ANY, **days(2**40))])
    for name in ("denied", "broken", "future", "none", "timeless"):
        put(registry, name, [Image(name, pushed=50)])
        registry.lifecycle_policies[name] = policy_text([rule(1, **ANY, **days(1))])
    registry.lifecycle_policies["broken"] = '{"rules": ['
    later = rule(2, **ANY, **days(1))
    registry.lifecycle_policies["future"] = policy_text([rule(1, "x*", countType="sinceImageSigned"), later])
    del registry.lifecycle_policies["none"]
    registry.images["timeless"][digest_of("timeless")].pop("imagePushedAt")


def preview(registry: Registry, repository: str, text: str, results: dict[str, tuple[int, str]]) -> None:
    registry.lifecycle_previews[repository] = {
        "lifecyclePolicyText": text,
        "status": "COMPLETE",
        "previewResults": [
            {
                "imageDigest": digest_of(name),
                "imagePushedAt": NOW.timestamp(),
                "action": {"type": action.upper()},
                "appliedRulePriority": priority,
            }
            for name, (priority, action) in results.items()
        ],
    }


def fill_previews(registry: Registry) -> None:
    """Previews of two examples: of one as AWS says, of the other something else; and one of another policy."""
    for name in ("all-images-a", "all-images-b", "image-count"):
        text = registry.lifecycle_policies[name]
        results = {f"{name} {letter}": done for letter, done in EXAMPLES[name].outcome.items()}
        preview(registry, name, text, results)
    changed = registry.lifecycle_previews["all-images-b"]["previewResults"]
    changed[0]["appliedRulePriority"] = 3
    changed[1]["action"] = {"type": "TRANSITION", "targetStorageClass": "ARCHIVE"}
    changed[2]["imageDigest"] = digest_of("all-images-b E")
    registry.lifecycle_previews["image-count"]["lifecyclePolicyText"] = policy_text([rule(1, **ANY, **keep(7))])


def fill(server: EcrServer) -> None:
    registry = server.registry("eu-west-1")
    for name, example in EXAMPLES.items():
        images = [Image(**{**vars(image), "name": f"{name} {letter}"}) for letter, image in example.images.items()]
        # What was pushed "1 day ago" is not "older than one day" in them.
        put(registry, name, images, timedelta(hours=-1), timedelta(seconds=1))
        registry.lifecycle_policies[name] = policy_text(example.rules)
    fill_special(registry)
    fill_previews(registry)
    other = server.registry("us-east-1")
    for name, repository in random_repositories().items():
        put(other, name, repository.images.values())
        other.lifecycle_policies[name] = policy_text(repository.rules)


def of(query: Query, repository: str) -> dict[str, tuple[Any, ...]]:
    """What is done in a repository to images, by the names that tests give them."""
    known = {digest_of(name): name for name in (*NAMES, repository)}
    rows = query(f"{EFFECTS} WHERE repository_name = '{repository}' AND region = 'eu-west-1'")
    return {known[digest]: tuple(effect) for digest, *effect in rows}


@POSTGRES_AT_NIGHT
def test_a_policy_does_what_aws_says_and_what_is_not_known_is_not_guessed(
    server: EcrServer, load: Load, query: Query
) -> None:
    fill(server)
    server.fail(DENIED, operation="GetLifecyclePolicy", repository="denied")
    server.fail(DENIED, operation="BatchGetImage", repository="unread")
    load(regions=["eu-west-1", "us-east-1"], tables=GROUPS, moves_last_recorded_pull_time=True)

    letters = {digest_of(f"{name} {letter}"): letter for name, one in EXAMPLES.items() for letter in one.images}
    acted_on: dict[str, dict[str, tuple[int, str]]] = {name: {} for name in EXAMPLES}
    for name, digest, priority, action in query(
        "SELECT repository_name, image_digest, rule_priority, action FROM ecr_lifecycle_effects"
        " WHERE effect = 'acts_now' AND region = 'eu-west-1'"
    ):
        if name in EXAMPLES:
            acted_on[name][letters[digest]] = (priority, action)
    assert acted_on == {name: example.outcome for name, example in EXAMPLES.items()}

    # "If an image is referenced by a manifest list, it cannot be expired or archived without the manifest list being
    # deleted or archived first."
    assert of(query, "index") == {
        "child": ("stays", "index_stays", 1, None, None),
        "stays": ("stays", "no_rule_fits", None, None, None),
    }
    assert of(query, "going") == {
        "old": ("acts_later", "rule", 1, "expire", 5),
        "goes": ("acts_later", "rule", 1, "expire", 5),
    }
    assert of(query, "unread")["perhaps"] == ("acts_now", "rule", 1, "expire", 0)
    held = "SELECT repository_name, is_held_by_index FROM ecr_lifecycle_effects WHERE image_digest IN"
    digests = ", ".join(f"'{digest_of(name)}'" for name in ("child", "old", "perhaps", "image"))
    assert query(f"{held} ({digests}) ORDER BY repository_name") == [
        ("attached", False),
        ("going", True),
        ("index", True),
        ("unread", None),
    ]
    # "When reference artifacts are present in a repository, Amazon ECR lifecycle policies automatically expire or
    # archive those artifacts within 24 hours of the deletion or archival of the subject image."
    assert of(query, "attached") == {
        "image": ("acts_now", "rule", 1, "transition", 0),
        "sbom": ("acts_now", "with_its_image", 1, "transition", 0),
        "signature": ("acts_now", "with_its_image", 1, "transition", 0),
    }

    assert of(query, "denied") == {"denied": ("unknown", "policy_not_read", None, None, None)}
    assert of(query, "broken") == {"broken": ("unknown", "policy_not_understood", None, None, None)}
    assert of(query, "future") == {"future": ("unknown", "rule_not_understood", 1, None, None)}
    assert of(query, "timeless") == {"timeless": ("unknown", "time_not_known", 1, None, None)}
    assert of(query, "none") == {}
    assert of(query, "long")["long"][:2] == ("acts_later", "rule")

    outlook = (
        "SELECT images, expiring_images, expiring_bytes_upper_bound, archiving_images, archiving_bytes_upper_bound,"
        " expiring_images_in_30_days, expiring_bytes_in_30_days_upper_bound, perhaps_held_images, unknown_images,"
        " as_of IS NOT NULL FROM ecr_lifecycle_outlook WHERE region = 'eu-west-1' AND repository_name ="
    )
    assert query(f"{outlook} 'all-images-b'") == [(5, 3, 3000, 0, 0, 1, 1000, 0, 0, True)]
    assert query(f"{outlook} 'attached'") == [(3, 0, 0, 3, 3000, 0, 0, 0, 0, True)]
    assert query(f"{outlook} 'going'") == [(2, 0, 0, 0, 0, 2, 1000, 0, 0, True)]
    assert query(f"{outlook} 'unread'") == [(2, 1, 1000, 0, 0, 0, 0, 1, 0, True)]
    assert query(f"{outlook} 'denied'") == [(1, 0, 0, 0, 0, 0, 0, 0, 1, True)]
    assert query(f"{outlook} 'none'") == []
    assert [row for row in query(question(18)) if row[0] in ("attached", "going")] == [
        ("attached", 1, "acts_now", "rule", "transition", 1, 1000),
        ("attached", 1, "acts_now", "with_its_image", "transition", 2, 2000),
        ("going", 1, "acts_later", "rule", "expire", 2, 1000),
    ]

    assert query(
        "SELECT repository_name, difference, count(*), min(previewed_action), min(action)"
        " FROM ecr_lifecycle_preview_differences GROUP BY 1, 2 ORDER BY 1, 2"
    ) == [
        ("all-images-a", "none", 3, "expire", "expire"),
        ("all-images-b", "action", 1, "transition", "expire"),
        ("all-images-b", "only_in_effects", 1, None, "expire"),
        ("all-images-b", "only_in_preview", 1, "expire", None),
        ("all-images-b", "rule", 1, "expire", "expire"),
        ("image-count", "not_comparable", 2, "expire", "expire"),
    ]

    compare(query(f"{EFFECTS} WHERE region = 'us-east-1'"), random_repositories())
