import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from tessera.v1 import model_info_pb2 as _model_info_pb2
from tessera.v1 import schema_pb2 as _schema_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Priority(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PRIORITY_UNSPECIFIED: _ClassVar[Priority]
    PRIORITY_INTERACTIVE: _ClassVar[Priority]
    PRIORITY_BATCH: _ClassVar[Priority]

class EventKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EVENT_KIND_UNSPECIFIED: _ClassVar[EventKind]
    EVENT_KIND_TOKENS: _ClassVar[EventKind]
    EVENT_KIND_NONE: _ClassVar[EventKind]
    EVENT_KIND_FIELDS: _ClassVar[EventKind]

class Phase(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PHASE_UNSPECIFIED: _ClassVar[Phase]
    PHASE_QUEUED: _ClassVar[Phase]
    PHASE_VISION: _ClassVar[Phase]
    PHASE_PREFILL: _ClassVar[Phase]
    PHASE_DECODE: _ClassVar[Phase]

class PageEvidence(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PAGE_EVIDENCE_UNSPECIFIED: _ClassVar[PageEvidence]
    PAGE_EVIDENCE_ONLY_PAGE: _ClassVar[PageEvidence]
    PAGE_EVIDENCE_TEXT: _ClassVar[PageEvidence]
    PAGE_EVIDENCE_ATTENTION: _ClassVar[PageEvidence]

class Repair(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REPAIR_UNSPECIFIED: _ClassVar[Repair]
    REPAIR_QUOTES: _ClassVar[Repair]
    REPAIR_BARE_NAMES: _ClassVar[Repair]
    REPAIR_TRAILING_COMMA: _ClassVar[Repair]
    REPAIR_MISSING_COMMA: _ClassVar[Repair]
    REPAIR_WORDS: _ClassVar[Repair]
    REPAIR_CHARACTERS: _ClassVar[Repair]
    REPAIR_COMMENTS: _ClassVar[Repair]
    REPAIR_LINES: _ClassVar[Repair]

class CheckRule(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CHECK_RULE_UNSPECIFIED: _ClassVar[CheckRule]
    CHECK_RULE_ABN_CHECKSUM: _ClassVar[CheckRule]
    CHECK_RULE_LINE_ITEMS_SUM: _ClassVar[CheckRule]
    CHECK_RULE_GST_SHARE: _ClassVar[CheckRule]
    CHECK_RULE_DATE_ORDER: _ClassVar[CheckRule]
    CHECK_RULE_BALANCE: _ClassVar[CheckRule]
    CHECK_RULE_LIST_LENGTHS: _ClassVar[CheckRule]

class FinishReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FINISH_REASON_UNSPECIFIED: _ClassVar[FinishReason]
    FINISH_REASON_STOP: _ClassVar[FinishReason]
    FINISH_REASON_LENGTH: _ClassVar[FinishReason]
PRIORITY_UNSPECIFIED: Priority
PRIORITY_INTERACTIVE: Priority
PRIORITY_BATCH: Priority
EVENT_KIND_UNSPECIFIED: EventKind
EVENT_KIND_TOKENS: EventKind
EVENT_KIND_NONE: EventKind
EVENT_KIND_FIELDS: EventKind
PHASE_UNSPECIFIED: Phase
PHASE_QUEUED: Phase
PHASE_VISION: Phase
PHASE_PREFILL: Phase
PHASE_DECODE: Phase
PAGE_EVIDENCE_UNSPECIFIED: PageEvidence
PAGE_EVIDENCE_ONLY_PAGE: PageEvidence
PAGE_EVIDENCE_TEXT: PageEvidence
PAGE_EVIDENCE_ATTENTION: PageEvidence
REPAIR_UNSPECIFIED: Repair
REPAIR_QUOTES: Repair
REPAIR_BARE_NAMES: Repair
REPAIR_TRAILING_COMMA: Repair
REPAIR_MISSING_COMMA: Repair
REPAIR_WORDS: Repair
REPAIR_CHARACTERS: Repair
REPAIR_COMMENTS: Repair
REPAIR_LINES: Repair
CHECK_RULE_UNSPECIFIED: CheckRule
CHECK_RULE_ABN_CHECKSUM: CheckRule
CHECK_RULE_LINE_ITEMS_SUM: CheckRule
CHECK_RULE_GST_SHARE: CheckRule
CHECK_RULE_DATE_ORDER: CheckRule
CHECK_RULE_BALANCE: CheckRule
CHECK_RULE_LIST_LENGTHS: CheckRule
FINISH_REASON_UNSPECIFIED: FinishReason
FINISH_REASON_STOP: FinishReason
FINISH_REASON_LENGTH: FinishReason

class ExtractRequest(_message.Message):
    __slots__ = ("request_id", "model", "files", "schema", "prompt", "generation", "event_kinds", "priority")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    FILES_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    EVENT_KINDS_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    model: str
    files: _containers.RepeatedCompositeFieldContainer[InputFile]
    schema: _schema_pb2.ExtractionSchema
    prompt: str
    generation: GenerationOptions
    event_kinds: _containers.RepeatedScalarFieldContainer[EventKind]
    priority: Priority
    def __init__(self, request_id: _Optional[str] = ..., model: _Optional[str] = ..., files: _Optional[_Iterable[_Union[InputFile, _Mapping]]] = ..., schema: _Optional[_Union[_schema_pb2.ExtractionSchema, _Mapping]] = ..., prompt: _Optional[str] = ..., generation: _Optional[_Union[GenerationOptions, _Mapping]] = ..., event_kinds: _Optional[_Iterable[_Union[EventKind, str]]] = ..., priority: _Optional[_Union[Priority, str]] = ...) -> None: ...

class InputFile(_message.Message):
    __slots__ = ("content", "pages", "dpi", "uri")
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    PAGES_FIELD_NUMBER: _ClassVar[int]
    DPI_FIELD_NUMBER: _ClassVar[int]
    URI_FIELD_NUMBER: _ClassVar[int]
    content: bytes
    pages: _containers.RepeatedScalarFieldContainer[int]
    dpi: int
    uri: str
    def __init__(self, content: _Optional[bytes] = ..., pages: _Optional[_Iterable[int]] = ..., dpi: _Optional[int] = ..., uri: _Optional[str] = ...) -> None: ...

class GenerationOptions(_message.Message):
    __slots__ = ("max_output_tokens", "temperature", "seed", "stop_sequences", "max_tiles_per_page", "top_p", "constrain", "top_k", "min_p", "repetition_penalty", "logprobs")
    MAX_OUTPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    TEMPERATURE_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    STOP_SEQUENCES_FIELD_NUMBER: _ClassVar[int]
    MAX_TILES_PER_PAGE_FIELD_NUMBER: _ClassVar[int]
    TOP_P_FIELD_NUMBER: _ClassVar[int]
    CONSTRAIN_FIELD_NUMBER: _ClassVar[int]
    TOP_K_FIELD_NUMBER: _ClassVar[int]
    MIN_P_FIELD_NUMBER: _ClassVar[int]
    REPETITION_PENALTY_FIELD_NUMBER: _ClassVar[int]
    LOGPROBS_FIELD_NUMBER: _ClassVar[int]
    max_output_tokens: int
    temperature: float
    seed: int
    stop_sequences: _containers.RepeatedScalarFieldContainer[str]
    max_tiles_per_page: int
    top_p: float
    constrain: bool
    top_k: int
    min_p: float
    repetition_penalty: float
    logprobs: bool
    def __init__(self, max_output_tokens: _Optional[int] = ..., temperature: _Optional[float] = ..., seed: _Optional[int] = ..., stop_sequences: _Optional[_Iterable[str]] = ..., max_tiles_per_page: _Optional[int] = ..., top_p: _Optional[float] = ..., constrain: _Optional[bool] = ..., top_k: _Optional[int] = ..., min_p: _Optional[float] = ..., repetition_penalty: _Optional[float] = ..., logprobs: _Optional[bool] = ...) -> None: ...

class ExtractResponse(_message.Message):
    __slots__ = ("sequence", "accepted", "progress", "token_delta", "field_delta", "field_completed", "completed", "document_type")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    TOKEN_DELTA_FIELD_NUMBER: _ClassVar[int]
    FIELD_DELTA_FIELD_NUMBER: _ClassVar[int]
    FIELD_COMPLETED_FIELD_NUMBER: _ClassVar[int]
    COMPLETED_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    accepted: Accepted
    progress: Progress
    token_delta: TokenDelta
    field_delta: FieldDelta
    field_completed: ExtractedField
    completed: Completed
    document_type: DocumentTypeFound
    def __init__(self, sequence: _Optional[int] = ..., accepted: _Optional[_Union[Accepted, _Mapping]] = ..., progress: _Optional[_Union[Progress, _Mapping]] = ..., token_delta: _Optional[_Union[TokenDelta, _Mapping]] = ..., field_delta: _Optional[_Union[FieldDelta, _Mapping]] = ..., field_completed: _Optional[_Union[ExtractedField, _Mapping]] = ..., completed: _Optional[_Union[Completed, _Mapping]] = ..., document_type: _Optional[_Union[DocumentTypeFound, _Mapping]] = ...) -> None: ...

class Accepted(_message.Message):
    __slots__ = ("request_id", "model", "model_revision", "trace_id", "tiles_per_page", "input_tokens", "pages", "prompt_template")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    MODEL_REVISION_FIELD_NUMBER: _ClassVar[int]
    TRACE_ID_FIELD_NUMBER: _ClassVar[int]
    TILES_PER_PAGE_FIELD_NUMBER: _ClassVar[int]
    INPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    PAGES_FIELD_NUMBER: _ClassVar[int]
    PROMPT_TEMPLATE_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    model: str
    model_revision: str
    trace_id: str
    tiles_per_page: _containers.RepeatedScalarFieldContainer[int]
    input_tokens: int
    pages: _containers.RepeatedCompositeFieldContainer[PageSource]
    prompt_template: str
    def __init__(self, request_id: _Optional[str] = ..., model: _Optional[str] = ..., model_revision: _Optional[str] = ..., trace_id: _Optional[str] = ..., tiles_per_page: _Optional[_Iterable[int]] = ..., input_tokens: _Optional[int] = ..., pages: _Optional[_Iterable[_Union[PageSource, _Mapping]]] = ..., prompt_template: _Optional[str] = ...) -> None: ...

class PageSource(_message.Message):
    __slots__ = ("file", "page", "width_px", "height_px")
    FILE_FIELD_NUMBER: _ClassVar[int]
    PAGE_FIELD_NUMBER: _ClassVar[int]
    WIDTH_PX_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_PX_FIELD_NUMBER: _ClassVar[int]
    file: int
    page: int
    width_px: int
    height_px: int
    def __init__(self, file: _Optional[int] = ..., page: _Optional[int] = ..., width_px: _Optional[int] = ..., height_px: _Optional[int] = ...) -> None: ...

class DocumentTypeFound(_message.Message):
    __slots__ = ("document_type", "confidence", "usage", "prompt_template")
    DOCUMENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    PROMPT_TEMPLATE_FIELD_NUMBER: _ClassVar[int]
    document_type: _schema_pb2.DocumentType
    confidence: float
    usage: Usage
    prompt_template: str
    def __init__(self, document_type: _Optional[_Union[_schema_pb2.DocumentType, str]] = ..., confidence: _Optional[float] = ..., usage: _Optional[_Union[Usage, _Mapping]] = ..., prompt_template: _Optional[str] = ...) -> None: ...

class Progress(_message.Message):
    __slots__ = ("phase", "elapsed", "queue_position", "encoded_tiles", "prefilled_tokens", "output_tokens", "input_tokens")
    PHASE_FIELD_NUMBER: _ClassVar[int]
    ELAPSED_FIELD_NUMBER: _ClassVar[int]
    QUEUE_POSITION_FIELD_NUMBER: _ClassVar[int]
    ENCODED_TILES_FIELD_NUMBER: _ClassVar[int]
    PREFILLED_TOKENS_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    INPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    phase: Phase
    elapsed: _duration_pb2.Duration
    queue_position: int
    encoded_tiles: int
    prefilled_tokens: int
    output_tokens: int
    input_tokens: int
    def __init__(self, phase: _Optional[_Union[Phase, str]] = ..., elapsed: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., queue_position: _Optional[int] = ..., encoded_tiles: _Optional[int] = ..., prefilled_tokens: _Optional[int] = ..., output_tokens: _Optional[int] = ..., input_tokens: _Optional[int] = ...) -> None: ...

class TokenDelta(_message.Message):
    __slots__ = ("text", "token_count", "logprobs")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    TOKEN_COUNT_FIELD_NUMBER: _ClassVar[int]
    LOGPROBS_FIELD_NUMBER: _ClassVar[int]
    text: str
    token_count: int
    logprobs: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, text: _Optional[str] = ..., token_count: _Optional[int] = ..., logprobs: _Optional[_Iterable[float]] = ...) -> None: ...

class FieldDelta(_message.Message):
    __slots__ = ("pointer", "text")
    POINTER_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    pointer: str
    text: str
    def __init__(self, pointer: _Optional[str] = ..., text: _Optional[str] = ...) -> None: ...

class ExtractedField(_message.Message):
    __slots__ = ("pointer", "value", "raw", "confidence", "min_token_probability", "normalized", "page", "page_evidence", "page_share")
    POINTER_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    RAW_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    MIN_TOKEN_PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    NORMALIZED_FIELD_NUMBER: _ClassVar[int]
    PAGE_FIELD_NUMBER: _ClassVar[int]
    PAGE_EVIDENCE_FIELD_NUMBER: _ClassVar[int]
    PAGE_SHARE_FIELD_NUMBER: _ClassVar[int]
    pointer: str
    value: _struct_pb2.Value
    raw: str
    confidence: float
    min_token_probability: float
    normalized: _struct_pb2.Value
    page: int
    page_evidence: PageEvidence
    page_share: float
    def __init__(self, pointer: _Optional[str] = ..., value: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., raw: _Optional[str] = ..., confidence: _Optional[float] = ..., min_token_probability: _Optional[float] = ..., normalized: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., page: _Optional[int] = ..., page_evidence: _Optional[_Union[PageEvidence, str]] = ..., page_share: _Optional[float] = ...) -> None: ...

class Completed(_message.Message):
    __slots__ = ("finish_reason", "text", "document_json", "document_error", "usage", "timings", "fields", "checks", "repairs")
    FINISH_REASON_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_JSON_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_ERROR_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    TIMINGS_FIELD_NUMBER: _ClassVar[int]
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    CHECKS_FIELD_NUMBER: _ClassVar[int]
    REPAIRS_FIELD_NUMBER: _ClassVar[int]
    finish_reason: FinishReason
    text: str
    document_json: str
    document_error: str
    usage: Usage
    timings: Timings
    fields: _containers.RepeatedCompositeFieldContainer[ExtractedField]
    checks: _containers.RepeatedCompositeFieldContainer[Check]
    repairs: _containers.RepeatedScalarFieldContainer[Repair]
    def __init__(self, finish_reason: _Optional[_Union[FinishReason, str]] = ..., text: _Optional[str] = ..., document_json: _Optional[str] = ..., document_error: _Optional[str] = ..., usage: _Optional[_Union[Usage, _Mapping]] = ..., timings: _Optional[_Union[Timings, _Mapping]] = ..., fields: _Optional[_Iterable[_Union[ExtractedField, _Mapping]]] = ..., checks: _Optional[_Iterable[_Union[Check, _Mapping]]] = ..., repairs: _Optional[_Iterable[_Union[Repair, str]]] = ...) -> None: ...

class Check(_message.Message):
    __slots__ = ("rule", "passed", "message", "pointers")
    RULE_FIELD_NUMBER: _ClassVar[int]
    PASSED_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    POINTERS_FIELD_NUMBER: _ClassVar[int]
    rule: CheckRule
    passed: bool
    message: str
    pointers: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, rule: _Optional[_Union[CheckRule, str]] = ..., passed: _Optional[bool] = ..., message: _Optional[str] = ..., pointers: _Optional[_Iterable[str]] = ...) -> None: ...

class Usage(_message.Message):
    __slots__ = ("input_tokens", "image_tokens", "output_tokens", "cached_input_tokens")
    INPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    IMAGE_TOKENS_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    CACHED_INPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    input_tokens: int
    image_tokens: int
    output_tokens: int
    cached_input_tokens: int
    def __init__(self, input_tokens: _Optional[int] = ..., image_tokens: _Optional[int] = ..., output_tokens: _Optional[int] = ..., cached_input_tokens: _Optional[int] = ...) -> None: ...

class Timings(_message.Message):
    __slots__ = ("queue", "preprocess", "vision", "prefill", "decode", "time_to_first_token", "total")
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    PREPROCESS_FIELD_NUMBER: _ClassVar[int]
    VISION_FIELD_NUMBER: _ClassVar[int]
    PREFILL_FIELD_NUMBER: _ClassVar[int]
    DECODE_FIELD_NUMBER: _ClassVar[int]
    TIME_TO_FIRST_TOKEN_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    queue: _duration_pb2.Duration
    preprocess: _duration_pb2.Duration
    vision: _duration_pb2.Duration
    prefill: _duration_pb2.Duration
    decode: _duration_pb2.Duration
    time_to_first_token: _duration_pb2.Duration
    total: _duration_pb2.Duration
    def __init__(self, queue: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., preprocess: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., vision: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., prefill: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., decode: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., time_to_first_token: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., total: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class BatchExtractRequest(_message.Message):
    __slots__ = ("extract", "cancel_request_id")
    EXTRACT_FIELD_NUMBER: _ClassVar[int]
    CANCEL_REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    extract: ExtractRequest
    cancel_request_id: str
    def __init__(self, extract: _Optional[_Union[ExtractRequest, _Mapping]] = ..., cancel_request_id: _Optional[str] = ...) -> None: ...

class BatchExtractResponse(_message.Message):
    __slots__ = ("request_id", "response", "error")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    response: ExtractResponse
    error: ExtractError
    def __init__(self, request_id: _Optional[str] = ..., response: _Optional[_Union[ExtractResponse, _Mapping]] = ..., error: _Optional[_Union[ExtractError, _Mapping]] = ...) -> None: ...

class ExtractError(_message.Message):
    __slots__ = ("code", "reason", "message", "retry_after", "fields", "metadata", "violations")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    CODE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_FIELD_NUMBER: _ClassVar[int]
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    VIOLATIONS_FIELD_NUMBER: _ClassVar[int]
    code: int
    reason: str
    message: str
    retry_after: _duration_pb2.Duration
    fields: _containers.RepeatedScalarFieldContainer[str]
    metadata: _containers.ScalarMap[str, str]
    violations: _containers.RepeatedCompositeFieldContainer[FieldViolation]
    def __init__(self, code: _Optional[int] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ..., retry_after: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., fields: _Optional[_Iterable[str]] = ..., metadata: _Optional[_Mapping[str, str]] = ..., violations: _Optional[_Iterable[_Union[FieldViolation, _Mapping]]] = ...) -> None: ...

class FieldViolation(_message.Message):
    __slots__ = ("field", "description")
    FIELD_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    field: str
    description: str
    def __init__(self, field: _Optional[str] = ..., description: _Optional[str] = ...) -> None: ...

class ModelInfoRequest(_message.Message):
    __slots__ = ("model",)
    MODEL_FIELD_NUMBER: _ClassVar[int]
    model: str
    def __init__(self, model: _Optional[str] = ...) -> None: ...

class ModelInfoResponse(_message.Message):
    __slots__ = ("status",)
    STATUS_FIELD_NUMBER: _ClassVar[int]
    status: _model_info_pb2.ModelStatus
    def __init__(self, status: _Optional[_Union[_model_info_pb2.ModelStatus, _Mapping]] = ...) -> None: ...

class WatchModelInfoRequest(_message.Message):
    __slots__ = ("model",)
    MODEL_FIELD_NUMBER: _ClassVar[int]
    model: str
    def __init__(self, model: _Optional[str] = ...) -> None: ...

class WatchModelInfoResponse(_message.Message):
    __slots__ = ("status",)
    STATUS_FIELD_NUMBER: _ClassVar[int]
    status: _model_info_pb2.ModelStatus
    def __init__(self, status: _Optional[_Union[_model_info_pb2.ModelStatus, _Mapping]] = ...) -> None: ...
