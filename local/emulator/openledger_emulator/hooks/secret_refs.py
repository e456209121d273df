"""Hook: `Ref` of a secret in a template is its ARN.

MiniStack answers with the name. A policy that names the secret by `Ref` (all that CDK writes) would then allow
nothing, while on AWS it is right.
"""

from __future__ import annotations

from ..seam import need

HOOK = "secret refs"
TYPE = "AWS::SecretsManager::Secret"


def install() -> None:
    handler = need("services.cloudformation.provisioners", "_RESOURCE_HANDLERS", HOOK)[TYPE]
    create, update, delete = handler["create"], handler["update"], handler["delete"]

    def by_arn(made: tuple[str, dict]) -> tuple[str, dict]:
        return made[1]["Arn"], made[1]

    def updated(physical_id, old, new, stack, logical_id=None):
        return by_arn(update(name_of(physical_id), old, new, stack, logical_id))

    handler["create"] = lambda logical_id, props, stack: by_arn(create(logical_id, props, stack))
    handler["update"] = updated
    handler["delete"] = lambda physical_id, props: delete(name_of(physical_id), props)


def name_of(physical_id: str) -> str:
    """`arn:...:secret:NAME-abc123` -> NAME; a name stays a name."""
    _, separator, resource = physical_id.partition(":secret:")
    return resource.rsplit("-", 1)[0] if separator else physical_id
