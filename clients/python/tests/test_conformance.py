"""The scenarios of `clients/conformance`, by both clients."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import ParseDict

from tessera import (
    Accepted,
    AsyncClient,
    BatchEvent,
    Client,
    Completed,
    DocumentTypeFound,
    Event,
    FieldCompleted,
    FieldDelta,
    Progress,
    TesseraError,
    TokenDelta,
)
from tessera.v1 import extraction_pb2 as pb
from tessera.v1 import model_info_pb2

REPOSITORY = Path(__file__).resolve().parents[3]
SAMPLES = REPOSITORY / "models" / "tessera-tiny" / "samples"
SUITE = REPOSITORY / "clients" / "conformance"
PLACES = {"sample": SAMPLES, "file": SUITE}
LONG_S = 120.0
IDLE_S = 10.0

KINDS = {
    Accepted: "accepted",
    DocumentTypeFound: "document_type",
    Progress: "progress",
    TokenDelta: "token_delta",
    FieldDelta: "field_delta",
    FieldCompleted: "field_completed",
    Completed: "completed",
}

Scenario = dict[str, Any]
Outcome = tuple[list[Event], Exception | None]
#: Of each document by its `request_id`, and how the call ended.
BatchOutcome = tuple[dict[str, Outcome], TesseraError | None]


def scenarios() -> list[Any]:
    found = []
    for file in sorted(SUITE.glob("*.json")):
        suite = json.loads(file.read_text())
        for scenario in suite["scenarios"]:
            scenario["server"] = suite["server"]
            found.append(pytest.param(scenario, id=scenario["name"].replace(" ", "_")))
    assert found, "no scenarios"
    return found


def request(scenario: Scenario) -> pb.ExtractRequest:
    message = ParseDict(scenario["request"], pb.ExtractRequest())
    for index, file in enumerate(scenario["files"]):
        kind, _, rest = file.partition(":")
        content = rest.encode() if kind == "text" else (PLACES[kind] / rest).read_bytes()
        input_file = message.files[index] if index < len(message.files) else message.files.add()
        input_file.content = content
    return message


def by_sync(address: str, scenario: Scenario) -> Outcome:
    events: list[Event] = []
    timeout, cancel_after = timing(scenario)
    with Client(address, attempts=1) as client:
        stream = client.stream_request(request(scenario), timeout=timeout)
        if cancel_after == "begin":
            stream.cancel()
        try:
            for event in stream:
                events.append(event)
                if KINDS[type(event)] == cancel_after:
                    stream.cancel()
        except TesseraError as error:
            return events, error
    return events, None


def by_asyncio(address: str, scenario: Scenario) -> Outcome:
    async def run() -> Outcome:
        events: list[Event] = []
        timeout, cancel_after = timing(scenario)
        async with AsyncClient(address, attempts=1) as client:
            stream = client.stream_request(request(scenario), timeout=timeout)
            if cancel_after == "begin":
                stream.cancel()
            try:
                async for event in stream:
                    events.append(event)
                    if KINDS[type(event)] == cancel_after:
                        stream.cancel()
            except TesseraError as error:
                return events, error
        return events, None

    return asyncio.run(run())


def timing(scenario: Scenario) -> tuple[float, str | None]:
    return scenario.get("timeoutMs", LONG_S * 1000) / 1000, scenario.get("cancelAfter")


def batch_by_sync(address: str, scenario: Scenario) -> BatchOutcome:
    found, stop = new_batch(scenario)
    with Client(address, attempts=1) as client:
        events = client.stream_batch(**batch_arguments(scenario))
        try:
            for event in events:
                if note(found, event, stop):
                    events.cancel_document(event.request_id)
        except TesseraError as error:
            return found, error
    return found, None


def batch_by_asyncio(address: str, scenario: Scenario) -> BatchOutcome:
    async def run() -> BatchOutcome:
        found, stop = new_batch(scenario)
        async with AsyncClient(address, attempts=1) as client:
            events = client.stream_batch(**batch_arguments(scenario))
            try:
                async for event in events:
                    if note(found, event, stop):
                        events.cancel_document(event.request_id)
            except TesseraError as error:
                return found, error
        return found, None

    return asyncio.run(run())


def new_batch(scenario: Scenario) -> tuple[dict[str, Outcome], dict[str, str | None]]:
    """No events of any document, and after which one each is stopped."""
    stop = {each["request"]["requestId"]: each.get("cancelAfter") for each in scenario["batch"]}
    return {name: ([], None) for name in stop}, stop


def batch_arguments(scenario: Scenario) -> dict[str, Any]:
    return {
        "documents": [request(document) for document in scenario["batch"]],
        "in_flight": scenario["inFlight"],
        "timeout": timing(scenario)[0],
    }


def note(found: dict[str, Outcome], event: BatchEvent, stop: dict[str, str | None]) -> bool:
    """Whether the document is to be stopped."""
    events, error = found[event.request_id]
    assert error is None, "an event after the outcome"
    if event.event is None:
        found[event.request_id] = (events, event.error)
        return False
    events.append(event.event)
    return KINDS[type(event.event)] == stop[event.request_id]


@pytest.mark.parametrize("by", ["sync", "asyncio"])
@pytest.mark.parametrize("scenario", scenarios())
def test_conformance(server: Callable[..., str], scenario: Scenario, by: str) -> None:
    address = server(*scenario["server"])
    if "modelInfo" in scenario:
        check_model_info(scenario["modelInfo"], model_info(address, by).capabilities)
        return
    expect = scenario["expect"]
    if "batch" in scenario:
        found, whole = (batch_by_sync if by == "sync" else batch_by_asyncio)(address, scenario)
        if "error" in expect:
            assert whole is not None
            check_error(expect["error"], [], whole)
        else:
            assert whole is None, whole
            for document in scenario["batch"]:
                check_outcome(document["expect"], *found[document["request"]["requestId"]])
    else:
        play = by_sync if by == "sync" else by_asyncio
        for _ in range(scenario.get("times", 1)):
            outcome = play(address, scenario)
        check_outcome(expect, *outcome)
    if expect.get("idle"):
        with Client(address) as client:
            until_idle(client)


def model_info(address: str, by: str) -> model_info_pb2.ModelStatus:
    async def run() -> model_info_pb2.ModelStatus:
        async with AsyncClient(address) as client:
            return await client.model_info()

    if by == "asyncio":
        return asyncio.run(run())
    with Client(address) as client:
        return client.model_info()


def check_model_info(expect: dict[str, Any], found: model_info_pb2.Capabilities) -> None:
    method = model_info_pb2.ConfidenceMethod.Name(found.confidence_method)
    assert method == f"CONFIDENCE_METHOD_{expect['confidenceMethod']}"
    kinds = expect["calibrationKinds"]
    assert found.HasField("calibration") == (kinds is not None)
    if kinds is not None:
        assert set(kinds) <= set(found.calibration.kinds)
        assert found.calibration.documents > 0
        for check in found.calibration.checks:
            assert 0 <= check.passed <= 1 and 0 <= check.failed <= 1, check


def check_outcome(expect: dict[str, Any], events: list[Event], error: Exception | None) -> None:
    check_stream(events, whole=error is None)
    if "error" in expect:
        assert isinstance(error, TesseraError), (error, events)
        check_error(expect["error"], events, error)
    else:
        assert error is None, error
        check_answer(expect, events)


def check_stream(events: list[Event], *, whole: bool) -> None:
    """What holds of every stream."""
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    kinds = [KINDS[type(event)] for event in events]
    assert kinds.count("accepted") == (1 if kinds else 0) and (not kinds or kinds[0] == "accepted")
    assert kinds.count("completed") == int(whole) and (not whole or kinds[-1] == "completed")
    if not whole:
        return
    completed = last(events)
    text = "".join(event.text for event in events if isinstance(event, TokenDelta))
    assert not text or text == completed.text
    fields = [event.field for event in events if isinstance(event, FieldCompleted)]
    assert not fields or fields == list(completed.fields)
    for event in events:
        if isinstance(event, FieldDelta):
            values = {field.pointer: field.value for field in completed.fields}
            assert event.text in values.get(event.pointer, event.text)


def last(events: list[Event]) -> Completed:
    assert isinstance(events[-1], Completed)
    return events[-1]


def check_answer(expect: dict[str, Any], events: list[Event]) -> None:
    accepted, completed = events[0], last(events)
    assert isinstance(accepted, Accepted)
    kinds = {KINDS[type(event)] for event in events}
    assert set(expect.get("kinds", ())) <= kinds
    assert kinds <= set(expect.get("onlyKinds", kinds))
    assert expect.get("requestId", accepted.request_id) == accepted.request_id
    assert expect.get("pages", len(accepted.tiles_per_page)) == len(accepted.tiles_per_page)
    assert expect.get("finishReason", completed.finish_reason) == completed.finish_reason
    assert expect.get("outputTokens", completed.usage.output_tokens) == completed.usage.output_tokens
    assert expect.get("text", completed.text) == completed.text
    if "checks" in expect:
        checks = {check.rule: check.passed for check in completed.checks}
        assert checks == expect["checks"]
    if "document" in expect:
        document = completed.document
        assert (document is None) == (expect["document"] is None), completed.document_error
        wanted = expect["document"] or {}
        assert {name: (document or {}).get(name) for name in wanted} == wanted
    if "pageSources" in expect:
        found = [
            {"file": each.file, "page": each.page, "widthPx": each.width_px, "heightPx": each.height_px}
            for each in accepted.pages
        ]
        assert [each | wanted for each, wanted in zip(found, expect["pageSources"], strict=True)] == found
    assert expect.get("promptTemplate", accepted.prompt_template) == accepted.prompt_template
    if "documentType" in expect:
        (kind,) = [event for event in events if isinstance(event, DocumentTypeFound)]
        assert kind.document_type.upper().replace("-", "_") == expect["documentType"]["name"]
        assert kind.prompt_template == expect["documentType"]["promptTemplate"]
        assert kind.usage.input_tokens > 0 and kind.confidence is not None
    assert expect.get("repairs", list(completed.repairs)) == list(completed.repairs)
    if "isCached" in expect:
        assert (completed.usage.cached_input_tokens > 0) == expect["isCached"]
    fields = {field.pointer: field for field in completed.fields}
    for pointer, page in expect.get("fieldPages", {}).items():
        assert fields[pointer].page == page
    for pointer in expect.get("confident", ()):
        assert 0 < (fields[pointer].min_token_probability or 0) <= 1
        assert 0 < (fields[pointer].confidence or 0) <= 1
    for pointer, value in expect.get("normalized", {}).items():
        assert fields[pointer].normalized == value
    last_token = max((e.sequence for e in events if isinstance(e, TokenDelta)), default=0)
    done = {e.field.pointer: e.sequence for e in events if isinstance(e, FieldCompleted)}
    for pointer in expect.get("fieldsBeforeLastToken", ()):
        assert done[pointer] < last_token


def check_error(expect: dict[str, Any], events: list[Event], error: TesseraError) -> None:
    assert error.code.name == expect["code"], error
    assert error.reason == expect.get("reason", error.reason), error
    named = {violation.field for violation in error.violations}
    assert set(expect.get("violations", ())) <= named, error
    assert expect.get("messageHas", "") in error.message
    if "events" in expect:
        assert [KINDS[type(event)] for event in events] == expect["events"]


def until_idle(client: Client) -> None:
    end = time.monotonic() + IDLE_S
    while True:
        load = client.model_info().load
        if load.running_requests + load.queued_requests == 0:
            return
        assert time.monotonic() < end, load
        time.sleep(0.02)
