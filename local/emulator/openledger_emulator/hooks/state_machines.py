"""Hook: Step Functions calls SageMaker, and acts with the state machine's own role.

`arn:aws:states:::sagemaker:createTrainingJob[.sync]` runs a job as AWS does; `.sync` waits for its end. MiniStack
calls services from a state machine without asking IAM, so a missing grant would be found on AWS only: here every
task is authorised against the role of the state machine, once IAM is on.
"""

from __future__ import annotations

import contextvars
import json
import time

from .. import identity
from ..sagemaker.faults import Fault
from ..sagemaker.service import SageMaker
from ..seam import need, replace
from .resumption import VARIABLES

HOOK = "state machines"
_POLL_SECONDS = 0.2
_running: contextvars.ContextVar[dict | None] = contextvars.ContextVar("openledger_execution", default=None)


def install(service: SageMaker) -> None:
    need("services.stepfunctions", "_SERVICE_DISPATCH", HOOK)["arn:aws:states:::sagemaker:createTrainingJob"] = (
        lambda resource, request: _train(service, resource, request)
    )
    need("services.stepfunctions", "_AWS_SDK_SERVICE_MAP", HOOK)["sagemaker"] = {
        "target_prefix": "SageMaker",
        "protocol": "json",
    }
    need("services.stepfunctions", "_AWS_SDK_ERROR_PREFIX", HOOK)["sagemaker"] = "SageMaker"
    _remember_execution()
    _authorise_tasks()
    _act_as_role()


def role_key() -> str | None:
    """Access key of the running execution's role, or None outside of an execution."""
    execution = _running.get()
    if execution is None:
        return None
    machines = need("services.stepfunctions", "_state_machines", HOOK)
    machine = machines.get(execution["stateMachineArn"]) or {}
    role = machine.get("roleArn")
    return identity.role_session(role, "StepFunctions")["AWS_ACCESS_KEY_ID"] if role else None


def _remember_execution() -> None:
    execute = need("services.stepfunctions", "_execute_task", HOOK)

    def remembering(state, raw_input, execution, context):
        execution[VARIABLES] = context.get("variables", {})  # the same dictionary: a resumed execution needs it
        token = _running.set(execution)
        try:
            return execute(state, raw_input, execution, context)
        finally:
            _running.reset(token)

    replace("services.stepfunctions", "_execute_task", remembering, HOOK)


def _authorise_tasks() -> None:
    """Lambda tasks name their function in the state machine; all other services are authorised where they are called."""
    invoke = need("services.stepfunctions", "_call_lambda", HOOK)

    def authorised(reference, event):
        key = role_key()
        if key:
            region = identity.region()
            arn = reference if reference.startswith("arn:") else _function_arn(reference, region)
            _refuse("Lambda.AWSLambdaException", identity.refusal(key, "lambda:InvokeFunction", arn, region))
        return invoke(reference, event)

    replace("services.stepfunctions", "_call_lambda", authorised, HOOK)


def _act_as_role() -> None:
    """Calls that a state machine makes to other services carry its role and are authorised like any other call."""
    call = need("app", "call_service_handler_sync", HOOK)

    def as_role(handler, method, path, headers, body, query, timeout=None):
        key = role_key()
        service = _service_of(headers) if key else None
        if key and service and identity.enforced():
            action = need("core.iam_actions", "extract_iam_action", HOOK)(service, method, path, headers, body, query)
            region = identity.region()
            for checked, arn in _checks(service, action, method, path, headers, body, query, region):
                _refuse(f"{service.capitalize()}.AccessDeniedException", identity.refusal(key, checked, arn, region))
            headers = {**headers, "authorization": headers.get("authorization", "").replace("=test/", f"={key}/")}
        return call(handler, method, path, headers, body, query, timeout)

    replace("app", "call_service_handler_sync", as_role, HOOK)


def _checks(service, action, method, path, headers, body, query, region) -> list[tuple[str, str]]:
    """(action, resource) pairs of one call; a DynamoDB transaction is one check for each of its items."""
    if action is None:
        return []
    account = identity.account()
    if service == "dynamodb":
        items = need("core.iam_actions", "dynamodb_transaction_checks", HOOK)(action, body, region, account)
        if items:
            return list(items)
    extract = need("core.iam_actions", "extract_resource_arn", HOOK)
    return [(action, extract(service, method, path, headers, body, query, region, account))]


def _service_of(headers: dict) -> str | None:
    credential = headers.get("authorization", "").partition("Credential=")[2].split("/")
    return credential[3] if len(credential) > 3 else None


def _train(service: SageMaker, resource: str, request: dict) -> dict:
    """CreateTrainingJob with the role's rights; `.sync` answers DescribeTrainingJob when the job has completed."""
    key = role_key() or "test"
    name, region = request.get("TrainingJobName", ""), identity.region()
    arn = f"arn:aws:sagemaker:{region}:{identity.account()}:training-job/{name.lower()}"
    sync = resource.endswith(".sync")
    needed = ["CreateTrainingJob", *(["AddTags"] if request.get("Tags") else [])]
    needed += ["DescribeTrainingJob", "StopTrainingJob"] if sync else []
    for action in needed:
        _refuse("SageMaker.AmazonSageMakerException", identity.refusal(key, f"sagemaker:{action}", arn, region))
    execution = (_running.get() or {}).get("executionArn")
    if sync and execution and service.training.owner(name) == execution:
        return _wait(service, name)  # the execution was resumed, and so was its job
    try:
        created = service.call("CreateTrainingJob", request, key)
        service.training.own(name, execution)
    except Fault as fault:
        code = fault.code if fault.code in ("ResourceInUse", "ResourceLimitExceeded") else "AmazonSageMaker"
        raise _error(f"SageMaker.{code}Exception", fault.message) from fault
    if not sync:
        return created
    return _wait(service, name)


def _wait(service: SageMaker, name: str) -> dict:
    execution = _running.get() or {}
    while True:
        job = service.training.describe({"TrainingJobName": name})
        if job["TrainingJobStatus"] == "Completed":
            return _milliseconds(job)
        if job["TrainingJobStatus"] in ("Failed", "Stopped"):
            raise _error("States.TaskFailed", json.dumps(_milliseconds(job)))
        if execution.get("status", "RUNNING") != "RUNNING" and job["TrainingJobStatus"] == "InProgress":
            service.training.stop({"TrainingJobName": name})  # StopExecution stops the job of a .sync task
        time.sleep(_POLL_SECONDS)


def _milliseconds(value):
    """Times in the output of a .sync task are epoch milliseconds."""
    if isinstance(value, dict):
        return {
            key: int(item * 1000) if key.endswith("Time") and isinstance(item, float) else _milliseconds(item)
            for key, item in value.items()
        }
    return [_milliseconds(item) for item in value] if isinstance(value, list) else value


def _function_arn(reference: str, region: str) -> str:
    return f"arn:aws:lambda:{region}:{identity.account()}:function:{reference}"


def _refuse(code: str, denied: str | None) -> None:
    if denied:
        raise _error(code, denied)


def _error(code: str, cause: str) -> Exception:
    return need("services.stepfunctions", "_ExecutionError", HOOK)(code, cause)
