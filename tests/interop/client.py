"""The cases of gRPC's interoperability tests, as
https://github.com/grpc/grpc/blob/master/doc/interop-test-descriptions.md has them, by grpcio: its own client for
them is not published. `client.py HOST:PORT CASE...`"""

import queue
import sys
from pathlib import Path

import grpc

sys.path.insert(0, str(Path(__file__).parent))
pb, services = grpc.protos_and_services("testing.proto")

INITIAL, TRAILING = "x-grpc-test-echo-initial", "x-grpc-test-echo-trailing-bin"
REQUEST_SIZES = [27182, 8, 1828, 45904]
RESPONSE_SIZES = [31415, 9, 2653, 58979]


def payload(size):
    return pb.Payload(body=bytes(size))


def asked(response_size, request_size):
    """One message of a stream that asks for one."""
    return pb.StreamingOutputCallRequest(
        response_parameters=[pb.ResponseParameters(size=response_size)], payload=payload(request_size)
    )


def is_zeros(message, size):
    assert message.payload.type == pb.COMPRESSABLE
    assert message.payload.body == bytes(size), f"{len(message.payload.body)} bytes came, not {size}"


def fails(call, code, message=None):
    try:
        call()
    except grpc.RpcError as error:
        assert error.code() == code, f"{error.code()}: {error.details()}"
        assert message is None or error.details() == message, repr(error.details())
    else:
        raise AssertionError(f"the call succeeded, and {code} was to come")


class Questions:
    """Messages of a stream, said one at a time."""

    def __init__(self):
        self._waiting = queue.SimpleQueue()

    def say(self, message):
        self._waiting.put(message)

    def close(self):
        self._waiting.put(None)

    def __iter__(self):
        return iter(self._waiting.get, None)


def empty_unary(stub):
    assert stub.EmptyCall(pb.Empty()) == pb.Empty()


def large_unary(stub):
    request = pb.SimpleRequest(response_size=314159, payload=payload(271828))
    is_zeros(stub.UnaryCall(request), 314159)


def client_streaming(stub):
    requests = (pb.StreamingInputCallRequest(payload=payload(size)) for size in REQUEST_SIZES)
    assert stub.StreamingInputCall(requests).aggregated_payload_size == sum(REQUEST_SIZES)


def server_streaming(stub):
    wanted = [pb.ResponseParameters(size=size) for size in RESPONSE_SIZES]
    answers = list(stub.StreamingOutputCall(pb.StreamingOutputCallRequest(response_parameters=wanted)))
    assert len(answers) == len(RESPONSE_SIZES)
    for answer, size in zip(answers, RESPONSE_SIZES):
        is_zeros(answer, size)


def ping_pong(stub):
    questions = Questions()
    answers = stub.FullDuplexCall(iter(questions))
    for response_size, request_size in zip(RESPONSE_SIZES, REQUEST_SIZES):
        questions.say(asked(response_size, request_size))
        is_zeros(next(answers), response_size)
    questions.close()
    assert list(answers) == []


def empty_stream(stub):
    assert list(stub.FullDuplexCall(iter(()))) == []


def cancel_after_begin(stub):
    questions = Questions()
    call = stub.StreamingInputCall.future(iter(questions))
    call.cancel()
    assert call.cancelled()
    assert call.code() == grpc.StatusCode.CANCELLED
    questions.close()


def cancel_after_first_response(stub):
    questions = Questions()
    answers = stub.FullDuplexCall(iter(questions))
    questions.say(asked(31415, 27182))
    is_zeros(next(answers), 31415)
    answers.cancel()
    fails(lambda: next(answers), grpc.StatusCode.CANCELLED)
    questions.close()


def timeout_on_sleeping_server(stub):
    questions = Questions()
    answers = stub.FullDuplexCall(iter(questions), timeout=0.001)
    questions.say(pb.StreamingOutputCallRequest(payload=payload(27182)))
    fails(lambda: next(answers), grpc.StatusCode.DEADLINE_EXCEEDED)
    questions.close()


def custom_metadata(stub):
    metadata = [(INITIAL, "test_initial_metadata_value"), (TRAILING, b"\xab\xab\xab")]

    def echoed(call):
        assert dict(call.initial_metadata())[INITIAL] == "test_initial_metadata_value"
        assert dict(call.trailing_metadata())[TRAILING] == b"\xab\xab\xab"

    request = pb.SimpleRequest(response_size=314159, payload=payload(271828))
    _, call = stub.UnaryCall.with_call(request, metadata=metadata)
    echoed(call)
    stream = stub.FullDuplexCall(iter([asked(314159, 271828)]), metadata=metadata)
    (answer,) = stream
    is_zeros(answer, 314159)
    echoed(stream)


def echoes_status(stub, code, message):
    status = pb.EchoStatus(code=code.value[0], message=message)
    fails(lambda: stub.UnaryCall(pb.SimpleRequest(response_status=status)), code, message)
    stream = stub.FullDuplexCall(iter([pb.StreamingOutputCallRequest(response_status=status)]))
    fails(lambda: list(stream), code, message)


def status_code_and_message(stub):
    echoes_status(stub, grpc.StatusCode.UNKNOWN, "test status message")


def special_status_message(stub):
    message = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n"
    echoes_status(stub, grpc.StatusCode.UNKNOWN, message)


def unimplemented(channel, method):
    call = channel.unary_unary(
        method,
        request_serializer=pb.Empty.SerializeToString,
        response_deserializer=pb.Empty.FromString,
    )
    fails(lambda: call(pb.Empty()), grpc.StatusCode.UNIMPLEMENTED)


CASES = {
    case.__name__: case
    for case in (
        empty_unary, large_unary, client_streaming, server_streaming, ping_pong, empty_stream, cancel_after_begin,
        cancel_after_first_response, timeout_on_sleeping_server, custom_metadata, status_code_and_message,
        special_status_message,
    )
}  # fmt: skip


def main(address, cases):
    for name in cases:
        with grpc.insecure_channel(address) as channel:
            if name == "unimplemented_method":
                unimplemented(channel, "/grpc.testing.TestService/UnimplementedCall")
            elif name == "unimplemented_service":
                unimplemented(channel, "/grpc.testing.UnimplementedService/UnimplementedCall")
            else:
                CASES[name](services.TestServiceStub(channel))
        print(f"{name}: passed")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
