"""Contract tests of the hooks: each asks MiniStack itself for the effect, so a moved version says what broke.

When one of these is red after an update of MiniStack, read the hook of that name: its docstring says what it needs.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from openledger_emulator import identity, seam
from openledger_emulator.hooks import (
    background_roles,
    cloudformation,
    control,
    gateway_responses,
    in_flight_messages,
    lambda_worker,
    logs_arns,
    resumption,
    response_streaming,
    sagemaker_service,
    secret_refs,
    secure_transport,
    sqs_batches,
    state_machines,
    stream_records,
    transaction_conflicts,
)

SCOPE = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/sagemaker/aws4_request"
pytestmark = pytest.mark.usefixtures("service")


def test_the_tested_version_is_installed():
    assert seam.version() == seam.TESTED_VERSION


def test_every_hook_is_tested_here():
    """By its HOOK, or by something else of the module: an import alone is no test."""
    here = Path(__file__)
    modules = {path.stem for path in (here.parents[1] / "openledger_emulator" / "hooks").glob("[a-z]*.py")}
    text = here.read_text()
    assert [name for name in sorted(modules) if f"{name}." not in text] == []


def test_a_moved_name_is_reported_with_its_hook():
    with pytest.raises(seam.MiniStackMoved, match=r"hook 'some hook' needs ministack\.app\.NO_SUCH_NAME"):
        seam.need("app", "NO_SUCH_NAME", "some hook")


def test_sagemaker_service_is_routed_authorised_and_saved(service):
    from ministack import app
    from ministack.core import iam_actions, router

    control_plane = {"x-amz-target": "SageMaker.DescribeModel", "authorization": SCOPE}
    assert router.detect_service("POST", "/", control_plane, {}) == "sagemaker"
    path = "/endpoints/Echo-1/invocations-response-stream"
    assert router.detect_service("POST", path, {"authorization": SCOPE}, {}) == "sagemaker"
    action = iam_actions.extract_iam_action("sagemaker", "POST", path, {}, b"{}", {})
    assert action == "sagemaker:InvokeEndpointWithResponseStream", sagemaker_service.HOOK
    arn = iam_actions.extract_resource_arn("sagemaker", "POST", path, {}, b"", {}, "us-east-1", "1" * 12)
    assert arn == f"arn:aws:sagemaker:us-east-1:{'1' * 12}:endpoint/echo-1"
    assert set(app._build_persistence_save_dict()["sagemaker"]()) == set(service.get_state())


def test_sagemaker_answers_through_its_registered_handler():
    from ministack import app

    headers = {"x-amz-target": "SageMaker.DescribeModel", "authorization": SCOPE}
    body = json.dumps({"ModelName": "nobody"}).encode()
    status, reply, content = asyncio.run(app.SERVICE_HANDLERS["sagemaker"]("POST", "/", headers, body, {}))
    assert (status, reply["x-amzn-errortype"]) == (400, "ValidationException")
    assert "Could not find model" in json.loads(content)["message"]


def test_cloudformation_has_the_types_that_we_add():
    from ministack.services.cloudformation import provisioners

    added = {"AWS::SageMaker::Model", "AWS::SageMaker::EndpointConfig", "AWS::SageMaker::Endpoint"}
    added |= set(cloudformation._recorded())
    assert added <= set(provisioners._RESOURCE_HANDLERS), cloudformation.HOOK
    physical, attributes = provisioners._provision_resource("AWS::CloudTrail::Trail", "Trail", {}, "stack")
    assert physical == "stack-Trail" and attributes["Arn"].endswith(":trail/stack-Trail")


def test_ref_of_a_secret_is_its_arn_over_create_update_and_delete():
    from ministack.services import secretsmanager
    from ministack.services.cloudformation import provisioners

    first, second = {"Name": "pay-able", "SecretString": "a"}, {"Name": "pay-able", "SecretString": "b"}
    reference, attributes = provisioners._provision_resource(secret_refs.TYPE, "Secret", first, "stack")
    assert reference == attributes["Arn"] == secretsmanager._secrets["pay-able"]["ARN"], secret_refs.HOOK
    again, _ = provisioners._update_resource(secret_refs.TYPE, reference, first, second, "stack", "Secret")
    assert again == reference
    provisioners._delete_resource(secret_refs.TYPE, reference, second)
    assert "pay-able" not in secretsmanager._secrets


def test_state_machines_know_sagemaker_and_run_as_their_role(monkeypatch):
    from ministack import app
    from ministack.services import iam, stepfunctions, sts

    assert "arn:aws:states:::sagemaker:createTrainingJob" in stepfunctions._SERVICE_DISPATCH, state_machines.HOOK
    arn, role = "arn:aws:states:us-east-1:000000000000:stateMachine:m", "arn:aws:iam::000000000000:role/mute"
    iam._roles["mute"] = {"RoleName": "mute", "Arn": role, "AssumeRolePolicyDocument": "{}", "AttachedPolicies": []}
    stepfunctions._state_machines[arn] = {"name": "m", "roleArn": role, "definition": "{}"}
    monkeypatch.setattr(app, "AUTH", True)
    execution = {"stateMachineArn": arn, "status": "RUNNING", "events": []}
    put = {"Type": "Task", "Resource": "arn:aws:states:::aws-sdk:dynamodb:putItem", "End": True}
    with pytest.raises(stepfunctions._ExecutionError) as refused:
        stepfunctions._execute_task(put, {"TableName": "t", "Item": {}}, execution, {"State": {"Name": "Put"}})
    assert "dynamodb:PutItem" in refused.value.cause and "mute" in refused.value.cause
    invoke = {**put, "Resource": "arn:aws:states:::lambda:invoke", "Parameters": {"FunctionName": "f"}}
    with pytest.raises(stepfunctions._ExecutionError):
        stepfunctions._execute_task(invoke, {}, execution, {"State": {"Name": "Call"}})
    assert any(session["Arn"].endswith("assumed-role/mute/StepFunctions") for session in sts._sessions.values())


def _role(name: str, *actions: str) -> str:
    from ministack.services import iam

    arn = f"arn:aws:iam::000000000000:role/{name}"
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": list(actions), "Resource": "*"}]}
    iam._roles[name] = {"RoleName": name, "Arn": arn, "AssumeRolePolicyDocument": "{}", "AttachedPolicies": [],
                        "InlinePolicies": {"own": json.dumps(policy)}}  # fmt: skip
    return arn


def test_targets_are_invoked_with_their_role(monkeypatch):
    from ministack import app
    from ministack.services import eventbridge

    invoked = []
    monkeypatch.setattr(app, "AUTH", True)
    monkeypatch.setattr(eventbridge, "_dispatch_to_lambda", lambda arn, payload: invoked.append(arn))
    arn = "arn:aws:lambda:us-east-1:000000000000:function:close"
    event = {"EventId": "1", "Source": "s", "DetailType": "d", "Detail": "{}", "Time": 1.0, "Resources": []}
    for name, actions in (("may-not", ["sqs:SendMessage"]), ("may", ["lambda:InvokeFunction"])):
        eventbridge._invoke_target({"Arn": arn, "RoleArn": _role(name, *actions)}, event, {})
    assert invoked == [arn], background_roles.HOOK


def test_event_sources_are_read_with_the_functions_role(monkeypatch):
    from ministack import app
    from ministack.core import iam_evaluator
    from ministack.services import lambda_svc

    monkeypatch.setattr(app, "AUTH", True)
    reads = background_roles._SOURCE_ACTIONS["sqs"]
    roles = {"blind": _role("blind", *reads[:2]), "sees": _role("sees", *reads)}
    monkeypatch.setattr(lambda_svc, "_get_func_record_for_qualifier", lambda name, _: ({}, {"Role": roles[name]}))
    queue = "arn:aws:sqs:us-east-1:000000000000:q"
    for name in roles:
        lambda_svc._esms[name] = {"UUID": name, "FunctionName": name, "EventSourceArn": queue}
    deny = {"Effect": "Deny", "Principal": {"AWS": "*"}, "Action": "sqs:*", "Resource": queue,
            "Condition": {"Bool": {"aws:SecureTransport": "false"}}}  # fmt: skip
    monkeypatch.setattr(iam_evaluator, "_resource_policy", lambda *_: ({"Statement": [deny]}, "0" * 12))
    assert [one["UUID"] for _, _, one in lambda_svc._iter_all_esms()] == ["sees"], background_roles.HOOK
    lambda_svc._esms.clear()


def test_lambda_worker_script_carries_preload_and_error_name():
    from ministack.core import lambda_runtime

    binary, script = lambda_runtime._detect_runtime_binary("nodejs24.x")
    assert binary == "node" and script.startswith(f'require("{lambda_worker.PRELOAD}")'), lambda_worker.HOOK
    assert 'name: err.name || "Error"' in script


def test_lambda_error_type_is_the_errors_name(monkeypatch):
    from ministack.core import lambda_runtime
    from ministack.services import lambda_svc

    class Thrown(lambda_runtime.Worker):
        def __init__(self):
            self.in_use = True

    reply = {"status": "error", "error": "no", "trace": "Error: no", "name": "RowsRejected", "log": ""}
    worker = Thrown()
    monkeypatch.setattr(lambda_svc, "acquire_worker", lambda *_, **__: (worker, "reused"))
    monkeypatch.setattr(worker, "invoke", lambda *_, **__: (setattr(lambda_worker._last, "name", reply["name"]), reply)[1])
    function = {"config": {"FunctionName": "f", "FunctionArn": "arn:aws:lambda:us-east-1:1:function:f"}, "code_zip": b"x"}
    assert lambda_svc._execute_function_warm(function, {}, "id")["body"]["errorType"] == "RowsRejected"


def test_response_streaming_resolves_the_streaming_uri():
    from ministack.services import apigateway_v1

    arn = "arn:aws:lambda:us-east-1:000000000000:function:f"
    uri = f"arn:aws:apigateway:us-east-1:lambda:path/2021-11-15/functions/{arn}/response-streaming-invocations"
    assert apigateway_v1._extract_lambda_ref_from_integration_uri(uri) == arn, response_streaming.HOOK


def test_an_import_brings_the_gateway_responses():
    from ministack.services import apigateway_v1

    template = '{"code":"unauthenticated"}'
    answers = {"UNAUTHORIZED": {"statusCode": 401, "responseTemplates": {"application/json": template}}}
    spec = {"openapi": "3.0.1", "info": {"title": "t", "version": "1"}, "paths": {},
            "x-amazon-apigateway-gateway-responses": answers}  # fmt: skip
    api = apigateway_v1._import_rest_api(spec, {})
    request = {"api_id": api, "stage": {}, "headers": {}, "query_params": {}, "path_params": {}, "request_id": "r",
               "resource_path": "/", "stage_name": "live"}  # fmt: skip
    error = apigateway_v1._gw_error("UNAUTHORIZED", "Unauthorized")
    status, _, body = apigateway_v1._gateway_error_response(error, request)
    assert (status, body.decode()) == (401, template), gateway_responses.HOOK


def test_secure_transport_is_pinned():
    from ministack import app
    from ministack.core import iam_evaluator

    app.pin_request_origin("127.0.0.1", False)
    context = iam_evaluator.EvalContext(
        principal_arn="arn", principal_type="Root", principal_account="1", action="a", resource_arn="*", region="r"
    )
    value = iam_evaluator._resolve_condition_key("aws:SecureTransport", context)
    assert str(value).lower() == "true", secure_transport.HOOK


@pytest.mark.parametrize(
    ("action", "suffix"), [("FilterLogEvents", ":log-stream:"), ("ListTagsForResource", "")]
)
def test_logs_calls_are_authorised_on_the_arn_of_aws(action, suffix):
    from ministack.core import iam_actions

    group = "arn:aws:logs:us-east-1:000000000000:log-group:/aws/x"
    body = json.dumps({"logGroupName": "/aws/x", "resourceArn": group}).encode()
    headers = {"x-amz-target": f"Logs_20140328.{action}"}
    arn = iam_actions.extract_resource_arn("logs", "POST", "/", headers, body, {}, "us-east-1", "0" * 12)
    assert arn == group + suffix, logs_arns.HOOK


@pytest.mark.parametrize(
    ("operation", "action"),
    [("SendMessageBatch", "sqs:SendMessage"), ("DeleteMessageBatch", "sqs:DeleteMessage"), ("SendMessage", "sqs:SendMessage")],
)
def test_batches_need_the_permission_of_the_single_call(operation, action):
    from ministack.core import iam_actions

    headers = {"x-amz-target": f"AmazonSQS.{operation}"}
    assert iam_actions.extract_iam_action("sqs", "POST", "/", headers, b"{}", {}) == action, sqs_batches.HOOK


def test_switching_iam_retires_the_workers_of_the_other_mode(monkeypatch):
    from ministack import app
    from ministack.core import lambda_runtime

    monkeypatch.setattr(app, "AUTH", False)
    lambda_runtime._workers["key"] = []
    control.switch_iam(True)
    assert app.AUTH is True and lambda_runtime._workers == {}, control.HOOK
    control.switch_iam(False)


def test_executions_lost_by_a_restart_are_marked_as_the_hook_expects():
    from ministack.services import stepfunctions

    arn = "arn:aws:states:us-east-1:000000000000:execution:gone:run"
    machine = "arn:aws:states:us-east-1:000000000000:stateMachine:gone"
    running = {"executionArn": arn, "stateMachineArn": machine, "name": "run", "status": "RUNNING", "input": "{}",
               "startDate": "2026-01-01T00:00:00Z", "events": []}  # fmt: skip
    stepfunctions._executions.clear()
    stepfunctions._restore_state({"executions": {arn: running}})
    assert stepfunctions._executions[arn]["error"] == resumption.LOST, resumption.HOOK
    revived = resumption.revive_executions()
    assert [(one["executionArn"], one["status"]) for one in revived] == [(arn, "RUNNING")]
    resumption.resume_executions(revived)
    assert stepfunctions._executions[arn].get("error") in (None, "StateMachineDeleted")


def test_what_goes_on_after_a_restart_is_true_before_anybody_asks_and_waits_for_the_gateway(service, monkeypatch):
    """hypercorn reports a complete start before it listens: a job that downloads its rows then would fail."""
    import socket
    import time

    from openledger_emulator import assembly
    from openledger_emulator.processes import free_port

    port, heard = free_port(), []
    for what in ("revive", "resume"):
        monkeypatch.setattr(service, what, lambda what=what: heard.append(what))
    monkeypatch.setattr(resumption, "revive_executions", lambda: heard.append("executions") or [])
    monkeypatch.setattr(resumption, "resume_executions", lambda revived: heard.append(revived))

    async def app(scope, receive, send):
        await send({"type": "lifespan.startup.complete"})

    async def send(message):
        heard.append(message["type"])

    class Saves:
        def start(self):
            heard.append("saves")

    asyncio.run(assembly._after_start(app, service, port, Saves())({"type": "lifespan"}, None, send))
    time.sleep(0.3)
    before = ["revive", "executions", "lifespan.startup.complete", "saves"]
    assert heard == before
    with socket.create_server(("127.0.0.1", port)):
        deadline = time.monotonic() + 10
        while len(heard) < 6 and time.monotonic() < deadline:
            time.sleep(0.02)
    assert heard == [*before, "resume", []]


def test_roles_of_processes_resolve_to_their_principal():
    from ministack.core import iam_evaluator

    role = "arn:aws:iam::000000000000:role/job"
    key = identity.role_session(role, "SageMaker")["AWS_ACCESS_KEY_ID"]
    principal = iam_evaluator.resolve_principal(key, "000000000000")
    assert principal.arn == "arn:aws:sts::000000000000:assumed-role/job/SageMaker"
    assert identity.role_session(role, "SageMaker")["AWS_ACCESS_KEY_ID"] == key


def test_a_dictionary_that_grows_while_it_is_copied_is_copied_again(service, monkeypatch):
    from ministack import app

    answers = [RuntimeError("dictionary changed size during iteration"), {"models": {}}]

    def grows():
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(service, "get_state", grows)
    assert app._build_persistence_save_dict()["sagemaker"]() == {"models": {}}


def test_messages_in_flight_come_back_with_a_restart():
    import time

    from ministack.services import sqs

    sqs._queues["https://queue"] = {"name": "queue", "url": "https://queue", "attributes": {}, "messages": [
        {"id": "received", "receipt_handle": "r", "visible_at": time.time() + 1800, "sent_at": 1.0},
        {"id": "delayed", "receipt_handle": None, "visible_at": time.time() + 1800, "sent_at": 1.0},
    ]}  # fmt: skip
    saved = sqs.get_state()
    sqs._queues.clear()
    sqs.load_persisted_state(saved)
    received, delayed = sqs._queues["https://queue"]["messages"]
    assert received["visible_at"] <= time.time() < delayed["visible_at"], in_flight_messages.HOOK
    sqs._queues.clear()


def test_stream_records_survive_a_restart():
    from ministack import app
    from ministack.core import persistence
    from ministack.services import dynamodb

    dynamodb._stream_records["t"] = [{"eventID": "1"}, {"eventID": "2"}]
    dynamodb._stream_trimmed["t"] = 5
    app._get_module("dynamodb")
    saved = json.dumps(app._build_persistence_save_dict()["dynamodb"](), default=persistence._json_default)
    dynamodb._stream_records.clear()
    dynamodb._stream_trimmed.clear()
    dynamodb.load_persisted_state(json.loads(saved, object_hook=persistence._json_object_hook))
    assert dynamodb.stream_end_position("t") == 7, stream_records.HOOK
    assert dynamodb.stream_records_since("t", 6, 10) == [{"eventID": "2"}]


def test_transactions_conflict_when_asked_and_writes_are_counted():
    from ministack import app

    def ask(operation: str, body: dict):
        headers = {"x-amz-target": f"DynamoDB_20120810.{operation}"}
        return asyncio.run(app.SERVICE_HANDLERS["dynamodb"]("POST", "/", headers, json.dumps(body).encode(), {}))

    key = [{"AttributeName": "PK", "KeyType": "HASH"}]
    ask("CreateTable", {"TableName": "contended", "KeySchema": key, "BillingMode": "PAY_PER_REQUEST",
                        "AttributeDefinitions": [{"AttributeName": "PK", "AttributeType": "S"}]})  # fmt: skip
    put = {"TransactItems": [{"Put": {"TableName": "contended", "Item": {"PK": {"S": name}}}} for name in "ab"]}
    before = transaction_conflicts.WRITES["TransactWriteItems"]
    transaction_conflicts.inject(1)
    try:
        status, headers, body = ask("TransactWriteItems", put)
    finally:
        transaction_conflicts.inject(0)
    assert (status, headers["x-amzn-errortype"]) == (400, "TransactionCanceledException"), transaction_conflicts.HOOK
    assert [reason["Code"] for reason in json.loads(body)["CancellationReasons"]] == ["TransactionConflict", "None"]
    assert ask("Scan", {"TableName": "contended"})[0] == 200
    assert json.loads(ask("Scan", {"TableName": "contended"})[2])["Count"] == 0
    assert ask("TransactWriteItems", put)[0] == 200
    assert json.loads(ask("Scan", {"TableName": "contended"})[2])["Count"] == 2
    assert transaction_conflicts.WRITES["TransactWriteItems"] == before + 2


def test_a_staged_state_is_written_as_it_was(monkeypatch, tmp_path):
    from ministack.core import persistence
    from openledger_emulator.object_undo import ObjectUndo
    from openledger_emulator.snapshots import Snapshots

    from ministack.services import iam

    monkeypatch.setattr(persistence, "STATE_DIR", str(tmp_path / "state"))
    (tmp_path / "state").mkdir()
    snapshots = Snapshots(ObjectUndo(tmp_path / "undo"))
    iam._roles["early"] = {"RoleName": "early"}
    snapshots.stage()
    iam._roles["late"] = {"RoleName": "late"}
    assert not list((tmp_path / "state").iterdir())
    snapshots.commit()
    text = (tmp_path / "state" / "iam.json").read_text()
    assert "early" in text and "late" not in text
    assert not list((tmp_path / "state").glob("*.staged"))


def test_a_staged_state_is_one_instant(tmp_path):
    """A worker that writes a record and then deletes its message: no cut may hold neither."""
    import threading
    import time

    from ministack.core import persistence
    from ministack.services import dynamodb, sqs
    from openledger_emulator.object_undo import ObjectUndo
    from openledger_emulator.snapshots import Snapshots

    padding = {str(n): {"S": "x"} for n in range(5_000)}  # a copy takes longer than a turn of the interpreter
    table, queue = {"TableName": "one", "items": padding, "done": 0}, {"name": "one", "messages": [], "made": 0}
    dynamodb._tables["one"], sqs._queues["https://one"] = table, queue
    ended = threading.Event()

    def work():
        for number in range(1, 1_000_000):
            if ended.is_set():
                return
            queue.update(messages=[number], made=number)
            table["done"] = number
            queue["messages"] = []
            time.sleep(0.0005)

    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    snapshots = Snapshots(ObjectUndo(tmp_path / "undo"))

    def staged(service: str, kind: str) -> dict:
        state = json.loads(snapshots._staged[service], object_hook=persistence._json_object_hook)["payload"][kind]
        return next(one for one in state.all_values() if "one" in (one.get("TableName"), one.get("name")))

    try:
        for _ in range(8):
            snapshots.stage()
            record, waiting = staged("dynamodb", "tables"), staged("sqs", "queues")
            assert waiting["messages"] or record["done"] == waiting["made"]
    finally:
        ended.set()
        worker.join()
        dynamodb._tables.clear()
        sqs._queues.clear()
    assert table["done"] > 8


def test_objects_of_a_killed_emulator_are_those_of_the_last_checkpoint(tmp_path):
    from ministack.services import s3
    from openledger_emulator.object_undo import HOOK, ObjectUndo, restore

    undo = ObjectUndo(tmp_path / "undo")
    undo.install()
    folder = tmp_path / "bucket"
    folder.mkdir()
    names = ("kept", "changed", "removed", "new")
    kept, changed, removed, new = (str(folder / name) for name in names)
    for path in (kept, changed, removed):
        s3._atomic_write(path, b"before")
    first = undo.begin()
    s3._atomic_write(changed, b"committed")
    undo.forget(before=undo.begin())
    assert first < undo._number
    s3._atomic_write(changed, b"after")
    s3._atomic_write(changed, b"and again")
    s3._remove_key_files(removed)
    undo.begin()  # staged, and killed before its commit
    s3._atomic_write(new, b"new")
    s3._atomic_write(changed, b"after the stage")
    assert restore(tmp_path / "undo") == 5, HOOK
    found = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert found == {"kept": b"before", "changed": b"committed", "removed": b"before"}, HOOK
    assert restore(tmp_path / "undo") == 0
