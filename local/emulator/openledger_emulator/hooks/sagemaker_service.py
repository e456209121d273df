"""Hook: SageMaker among MiniStack's services, so that requests are routed to it, authorised, saved and restored."""

from __future__ import annotations

from ..sagemaker.service import SageMaker, resource_arn
from ..seam import need, replace

HOOK = "sagemaker service"


def install(service: SageMaker) -> None:
    """Register the service under the name `sagemaker`, which is also its credential scope and IAM prefix."""
    need("app", "SERVICE_REGISTRY", HOOK)["sagemaker"] = {"module": "sagemaker"}
    need("app", "_state_map", HOOK)["sagemaker"] = "sagemaker"
    need("app", "_loaded_modules", HOOK)["sagemaker"] = service
    need("app", "SERVICE_HANDLERS", HOOK)["sagemaker"] = service.handle_request
    need("core.router", "SERVICE_PATTERNS", HOOK)["sagemaker"] = {"target_prefixes": ["SageMaker."]}
    need("core.iam_actions", "SERVICE_TO_IAM_NAMESPACE", HOOK)["sagemaker"] = "sagemaker"
    need("core.iam_actions", "_BOTOCORE_SERVICE_MAP", HOOK)["sagemaker"] = ["sagemaker-runtime"]
    before = need("core.iam_actions", "extract_resource_arn", HOOK)

    def extract(name, method, path, headers, body, query, region, account):
        if name != "sagemaker":
            return before(name, method, path, headers, body, query, region, account)
        return resource_arn(headers.get("x-amz-target", "").rpartition(".")[2], path, body, region, account)

    replace("core.iam_actions", "extract_resource_arn", extract, HOOK)
