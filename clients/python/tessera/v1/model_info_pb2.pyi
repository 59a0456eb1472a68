from tessera.v1 import schema_pb2 as _schema_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ReloadState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RELOAD_STATE_UNSPECIFIED: _ClassVar[ReloadState]
    RELOAD_STATE_LOADING: _ClassVar[ReloadState]
    RELOAD_STATE_DRAINING: _ClassVar[ReloadState]
    RELOAD_STATE_DONE: _ClassVar[ReloadState]
    RELOAD_STATE_FAILED: _ClassVar[ReloadState]

class ServingState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SERVING_STATE_UNSPECIFIED: _ClassVar[ServingState]
    SERVING_STATE_LOADING: _ClassVar[ServingState]
    SERVING_STATE_READY: _ClassVar[ServingState]
    SERVING_STATE_DRAINING: _ClassVar[ServingState]
    SERVING_STATE_FAILED: _ClassVar[ServingState]
    SERVING_STATE_POISONED: _ClassVar[ServingState]

class PolicyMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    POLICY_MODE_UNSPECIFIED: _ClassVar[PolicyMode]
    POLICY_MODE_FALLBACK: _ClassVar[PolicyMode]
    POLICY_MODE_STRICT: _ClassVar[PolicyMode]

class LinkRoute(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LINK_ROUTE_UNSPECIFIED: _ClassVar[LinkRoute]
    LINK_ROUTE_HOST: _ClassVar[LinkRoute]
    LINK_ROUTE_PEER: _ClassVar[LinkRoute]
    LINK_ROUTE_STAGED: _ClassVar[LinkRoute]

class Dtype(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DTYPE_UNSPECIFIED: _ClassVar[Dtype]
    DTYPE_F32: _ClassVar[Dtype]
    DTYPE_BF16: _ClassVar[Dtype]
    DTYPE_F16: _ClassVar[Dtype]
    DTYPE_Q8: _ClassVar[Dtype]
    DTYPE_FP8: _ClassVar[Dtype]

class ConfidenceMethod(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CONFIDENCE_METHOD_UNSPECIFIED: _ClassVar[ConfidenceMethod]
    CONFIDENCE_METHOD_TOKEN_PROBABILITY: _ClassVar[ConfidenceMethod]
    CONFIDENCE_METHOD_CALIBRATED: _ClassVar[ConfidenceMethod]
RELOAD_STATE_UNSPECIFIED: ReloadState
RELOAD_STATE_LOADING: ReloadState
RELOAD_STATE_DRAINING: ReloadState
RELOAD_STATE_DONE: ReloadState
RELOAD_STATE_FAILED: ReloadState
SERVING_STATE_UNSPECIFIED: ServingState
SERVING_STATE_LOADING: ServingState
SERVING_STATE_READY: ServingState
SERVING_STATE_DRAINING: ServingState
SERVING_STATE_FAILED: ServingState
SERVING_STATE_POISONED: ServingState
POLICY_MODE_UNSPECIFIED: PolicyMode
POLICY_MODE_FALLBACK: PolicyMode
POLICY_MODE_STRICT: PolicyMode
LINK_ROUTE_UNSPECIFIED: LinkRoute
LINK_ROUTE_HOST: LinkRoute
LINK_ROUTE_PEER: LinkRoute
LINK_ROUTE_STAGED: LinkRoute
DTYPE_UNSPECIFIED: Dtype
DTYPE_F32: Dtype
DTYPE_BF16: Dtype
DTYPE_F16: Dtype
DTYPE_Q8: Dtype
DTYPE_FP8: Dtype
CONFIDENCE_METHOD_UNSPECIFIED: ConfidenceMethod
CONFIDENCE_METHOD_TOKEN_PROBABILITY: ConfidenceMethod
CONFIDENCE_METHOD_CALIBRATED: ConfidenceMethod

class ModelStatus(_message.Message):
    __slots__ = ("model", "revision", "server_version", "state", "state_message", "placements", "kv_cache_dtype", "devices", "limits", "capabilities", "load", "dtype_policy", "links", "verification", "kv_capacity_tokens", "reload", "replicas")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    SERVER_VERSION_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    STATE_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    PLACEMENTS_FIELD_NUMBER: _ClassVar[int]
    KV_CACHE_DTYPE_FIELD_NUMBER: _ClassVar[int]
    DEVICES_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    CAPABILITIES_FIELD_NUMBER: _ClassVar[int]
    LOAD_FIELD_NUMBER: _ClassVar[int]
    DTYPE_POLICY_FIELD_NUMBER: _ClassVar[int]
    LINKS_FIELD_NUMBER: _ClassVar[int]
    VERIFICATION_FIELD_NUMBER: _ClassVar[int]
    KV_CAPACITY_TOKENS_FIELD_NUMBER: _ClassVar[int]
    RELOAD_FIELD_NUMBER: _ClassVar[int]
    REPLICAS_FIELD_NUMBER: _ClassVar[int]
    model: str
    revision: str
    server_version: str
    state: ServingState
    state_message: str
    placements: _containers.RepeatedCompositeFieldContainer[ModulePlacement]
    kv_cache_dtype: Dtype
    devices: _containers.RepeatedCompositeFieldContainer[Device]
    limits: Limits
    capabilities: Capabilities
    load: Load
    dtype_policy: DtypePolicy
    links: _containers.RepeatedCompositeFieldContainer[DeviceLink]
    verification: Verification
    kv_capacity_tokens: int
    reload: ModelReload
    replicas: int
    def __init__(self, model: _Optional[str] = ..., revision: _Optional[str] = ..., server_version: _Optional[str] = ..., state: _Optional[_Union[ServingState, str]] = ..., state_message: _Optional[str] = ..., placements: _Optional[_Iterable[_Union[ModulePlacement, _Mapping]]] = ..., kv_cache_dtype: _Optional[_Union[Dtype, str]] = ..., devices: _Optional[_Iterable[_Union[Device, _Mapping]]] = ..., limits: _Optional[_Union[Limits, _Mapping]] = ..., capabilities: _Optional[_Union[Capabilities, _Mapping]] = ..., load: _Optional[_Union[Load, _Mapping]] = ..., dtype_policy: _Optional[_Union[DtypePolicy, _Mapping]] = ..., links: _Optional[_Iterable[_Union[DeviceLink, _Mapping]]] = ..., verification: _Optional[_Union[Verification, _Mapping]] = ..., kv_capacity_tokens: _Optional[int] = ..., reload: _Optional[_Union[ModelReload, _Mapping]] = ..., replicas: _Optional[int] = ...) -> None: ...

class ModelReload(_message.Message):
    __slots__ = ("number", "state", "message")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    number: int
    state: ReloadState
    message: str
    def __init__(self, number: _Optional[int] = ..., state: _Optional[_Union[ReloadState, str]] = ..., message: _Optional[str] = ...) -> None: ...

class ModulePlacement(_message.Message):
    __slots__ = ("module", "device_id", "requested_dtype", "weight_dtype", "compute_dtype", "dtype_reason", "weight_bytes", "accumulate_dtype", "residual_dtype", "tensors", "replica")
    MODULE_FIELD_NUMBER: _ClassVar[int]
    DEVICE_ID_FIELD_NUMBER: _ClassVar[int]
    REQUESTED_DTYPE_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_DTYPE_FIELD_NUMBER: _ClassVar[int]
    COMPUTE_DTYPE_FIELD_NUMBER: _ClassVar[int]
    DTYPE_REASON_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_BYTES_FIELD_NUMBER: _ClassVar[int]
    ACCUMULATE_DTYPE_FIELD_NUMBER: _ClassVar[int]
    RESIDUAL_DTYPE_FIELD_NUMBER: _ClassVar[int]
    TENSORS_FIELD_NUMBER: _ClassVar[int]
    REPLICA_FIELD_NUMBER: _ClassVar[int]
    module: str
    device_id: str
    requested_dtype: Dtype
    weight_dtype: Dtype
    compute_dtype: Dtype
    dtype_reason: str
    weight_bytes: int
    accumulate_dtype: Dtype
    residual_dtype: Dtype
    tensors: int
    replica: int
    def __init__(self, module: _Optional[str] = ..., device_id: _Optional[str] = ..., requested_dtype: _Optional[_Union[Dtype, str]] = ..., weight_dtype: _Optional[_Union[Dtype, str]] = ..., compute_dtype: _Optional[_Union[Dtype, str]] = ..., dtype_reason: _Optional[str] = ..., weight_bytes: _Optional[int] = ..., accumulate_dtype: _Optional[_Union[Dtype, str]] = ..., residual_dtype: _Optional[_Union[Dtype, str]] = ..., tensors: _Optional[int] = ..., replica: _Optional[int] = ...) -> None: ...

class DtypePolicy(_message.Message):
    __slots__ = ("requested", "mode", "overrides", "quantization")
    REQUESTED_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    OVERRIDES_FIELD_NUMBER: _ClassVar[int]
    QUANTIZATION_FIELD_NUMBER: _ClassVar[int]
    requested: Dtype
    mode: PolicyMode
    overrides: _containers.RepeatedScalarFieldContainer[str]
    quantization: Dtype
    def __init__(self, requested: _Optional[_Union[Dtype, str]] = ..., mode: _Optional[_Union[PolicyMode, str]] = ..., overrides: _Optional[_Iterable[str]] = ..., quantization: _Optional[_Union[Dtype, str]] = ...) -> None: ...

class DeviceLink(_message.Message):
    __slots__ = ("from_device_id", "to_device_id", "route", "reason", "checks", "bytes_per_second")
    FROM_DEVICE_ID_FIELD_NUMBER: _ClassVar[int]
    TO_DEVICE_ID_FIELD_NUMBER: _ClassVar[int]
    ROUTE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    CHECKS_FIELD_NUMBER: _ClassVar[int]
    BYTES_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    from_device_id: str
    to_device_id: str
    route: LinkRoute
    reason: str
    checks: int
    bytes_per_second: float
    def __init__(self, from_device_id: _Optional[str] = ..., to_device_id: _Optional[str] = ..., route: _Optional[_Union[LinkRoute, str]] = ..., reason: _Optional[str] = ..., checks: _Optional[int] = ..., bytes_per_second: _Optional[float] = ...) -> None: ...

class Verification(_message.Message):
    __slots__ = ("tensors", "tensors_compared", "probe")
    TENSORS_FIELD_NUMBER: _ClassVar[int]
    TENSORS_COMPARED_FIELD_NUMBER: _ClassVar[int]
    PROBE_FIELD_NUMBER: _ClassVar[int]
    tensors: int
    tensors_compared: int
    probe: _containers.RepeatedCompositeFieldContainer[SiteRange]
    def __init__(self, tensors: _Optional[int] = ..., tensors_compared: _Optional[int] = ..., probe: _Optional[_Iterable[_Union[SiteRange, _Mapping]]] = ...) -> None: ...

class SiteRange(_message.Message):
    __slots__ = ("module", "site", "dtype", "max_abs")
    MODULE_FIELD_NUMBER: _ClassVar[int]
    SITE_FIELD_NUMBER: _ClassVar[int]
    DTYPE_FIELD_NUMBER: _ClassVar[int]
    MAX_ABS_FIELD_NUMBER: _ClassVar[int]
    module: str
    site: str
    dtype: Dtype
    max_abs: float
    def __init__(self, module: _Optional[str] = ..., site: _Optional[str] = ..., dtype: _Optional[_Union[Dtype, str]] = ..., max_abs: _Optional[float] = ...) -> None: ...

class Device(_message.Message):
    __slots__ = ("id", "name", "compute_capability", "total_bytes", "free_bytes", "weight_bytes", "kv_cache_bytes")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    COMPUTE_CAPABILITY_FIELD_NUMBER: _ClassVar[int]
    TOTAL_BYTES_FIELD_NUMBER: _ClassVar[int]
    FREE_BYTES_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_BYTES_FIELD_NUMBER: _ClassVar[int]
    KV_CACHE_BYTES_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    compute_capability: str
    total_bytes: int
    free_bytes: int
    weight_bytes: int
    kv_cache_bytes: int
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., compute_capability: _Optional[str] = ..., total_bytes: _Optional[int] = ..., free_bytes: _Optional[int] = ..., weight_bytes: _Optional[int] = ..., kv_cache_bytes: _Optional[int] = ...) -> None: ...

class Limits(_message.Message):
    __slots__ = ("max_request_bytes", "max_pages", "max_page_pixels", "max_tiles_per_page", "max_input_tokens", "max_output_tokens", "max_running_requests", "max_queued_requests", "max_schema_bytes", "max_batch_in_flight", "max_queued_tokens", "max_file_bytes", "max_prompt_bytes", "max_stop_sequences", "max_stop_sequence_bytes", "max_page_side", "max_file_pixels", "max_decode_bytes", "max_render_ms", "max_render_bytes", "max_request_memory_bytes", "max_bytes_besides_files", "max_event_bytes", "max_uri_bytes", "max_fetched_bytes", "max_fetch_ms")
    MAX_REQUEST_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_PAGES_FIELD_NUMBER: _ClassVar[int]
    MAX_PAGE_PIXELS_FIELD_NUMBER: _ClassVar[int]
    MAX_TILES_PER_PAGE_FIELD_NUMBER: _ClassVar[int]
    MAX_INPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    MAX_OUTPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    MAX_RUNNING_REQUESTS_FIELD_NUMBER: _ClassVar[int]
    MAX_QUEUED_REQUESTS_FIELD_NUMBER: _ClassVar[int]
    MAX_SCHEMA_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_BATCH_IN_FLIGHT_FIELD_NUMBER: _ClassVar[int]
    MAX_QUEUED_TOKENS_FIELD_NUMBER: _ClassVar[int]
    MAX_FILE_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_PROMPT_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_STOP_SEQUENCES_FIELD_NUMBER: _ClassVar[int]
    MAX_STOP_SEQUENCE_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_PAGE_SIDE_FIELD_NUMBER: _ClassVar[int]
    MAX_FILE_PIXELS_FIELD_NUMBER: _ClassVar[int]
    MAX_DECODE_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_RENDER_MS_FIELD_NUMBER: _ClassVar[int]
    MAX_RENDER_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_REQUEST_MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_BYTES_BESIDES_FILES_FIELD_NUMBER: _ClassVar[int]
    MAX_EVENT_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_URI_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_FETCHED_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_FETCH_MS_FIELD_NUMBER: _ClassVar[int]
    max_request_bytes: int
    max_pages: int
    max_page_pixels: int
    max_tiles_per_page: int
    max_input_tokens: int
    max_output_tokens: int
    max_running_requests: int
    max_queued_requests: int
    max_schema_bytes: int
    max_batch_in_flight: int
    max_queued_tokens: int
    max_file_bytes: int
    max_prompt_bytes: int
    max_stop_sequences: int
    max_stop_sequence_bytes: int
    max_page_side: int
    max_file_pixels: int
    max_decode_bytes: int
    max_render_ms: int
    max_render_bytes: int
    max_request_memory_bytes: int
    max_bytes_besides_files: int
    max_event_bytes: int
    max_uri_bytes: int
    max_fetched_bytes: int
    max_fetch_ms: int
    def __init__(self, max_request_bytes: _Optional[int] = ..., max_pages: _Optional[int] = ..., max_page_pixels: _Optional[int] = ..., max_tiles_per_page: _Optional[int] = ..., max_input_tokens: _Optional[int] = ..., max_output_tokens: _Optional[int] = ..., max_running_requests: _Optional[int] = ..., max_queued_requests: _Optional[int] = ..., max_schema_bytes: _Optional[int] = ..., max_batch_in_flight: _Optional[int] = ..., max_queued_tokens: _Optional[int] = ..., max_file_bytes: _Optional[int] = ..., max_prompt_bytes: _Optional[int] = ..., max_stop_sequences: _Optional[int] = ..., max_stop_sequence_bytes: _Optional[int] = ..., max_page_side: _Optional[int] = ..., max_file_pixels: _Optional[int] = ..., max_decode_bytes: _Optional[int] = ..., max_render_ms: _Optional[int] = ..., max_render_bytes: _Optional[int] = ..., max_request_memory_bytes: _Optional[int] = ..., max_bytes_besides_files: _Optional[int] = ..., max_event_bytes: _Optional[int] = ..., max_uri_bytes: _Optional[int] = ..., max_fetched_bytes: _Optional[int] = ..., max_fetch_ms: _Optional[int] = ...) -> None: ...

class Capabilities(_message.Message):
    __slots__ = ("media_types", "built_in_schemas", "confidence_method", "json_schema_keywords", "constrained_decoding", "calibration", "uri_origins")
    MEDIA_TYPES_FIELD_NUMBER: _ClassVar[int]
    BUILT_IN_SCHEMAS_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_METHOD_FIELD_NUMBER: _ClassVar[int]
    JSON_SCHEMA_KEYWORDS_FIELD_NUMBER: _ClassVar[int]
    CONSTRAINED_DECODING_FIELD_NUMBER: _ClassVar[int]
    CALIBRATION_FIELD_NUMBER: _ClassVar[int]
    URI_ORIGINS_FIELD_NUMBER: _ClassVar[int]
    media_types: _containers.RepeatedScalarFieldContainer[str]
    built_in_schemas: _containers.RepeatedCompositeFieldContainer[BuiltInSchema]
    confidence_method: ConfidenceMethod
    json_schema_keywords: _containers.RepeatedScalarFieldContainer[str]
    constrained_decoding: bool
    calibration: Calibration
    uri_origins: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, media_types: _Optional[_Iterable[str]] = ..., built_in_schemas: _Optional[_Iterable[_Union[BuiltInSchema, _Mapping]]] = ..., confidence_method: _Optional[_Union[ConfidenceMethod, str]] = ..., json_schema_keywords: _Optional[_Iterable[str]] = ..., constrained_decoding: _Optional[bool] = ..., calibration: _Optional[_Union[Calibration, _Mapping]] = ..., uri_origins: _Optional[_Iterable[str]] = ...) -> None: ...

class Calibration(_message.Message):
    __slots__ = ("documents", "kinds", "checks")
    DOCUMENTS_FIELD_NUMBER: _ClassVar[int]
    KINDS_FIELD_NUMBER: _ClassVar[int]
    CHECKS_FIELD_NUMBER: _ClassVar[int]
    documents: int
    kinds: _containers.RepeatedScalarFieldContainer[str]
    checks: _containers.RepeatedCompositeFieldContainer[CheckEvidence]
    def __init__(self, documents: _Optional[int] = ..., kinds: _Optional[_Iterable[str]] = ..., checks: _Optional[_Iterable[_Union[CheckEvidence, _Mapping]]] = ...) -> None: ...

class CheckEvidence(_message.Message):
    __slots__ = ("rule", "passed", "failed")
    RULE_FIELD_NUMBER: _ClassVar[int]
    PASSED_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    rule: str
    passed: float
    failed: float
    def __init__(self, rule: _Optional[str] = ..., passed: _Optional[float] = ..., failed: _Optional[float] = ...) -> None: ...

class BuiltInSchema(_message.Message):
    __slots__ = ("document_type", "fields", "json_schema")
    DOCUMENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    JSON_SCHEMA_FIELD_NUMBER: _ClassVar[int]
    document_type: _schema_pb2.DocumentType
    fields: _containers.RepeatedScalarFieldContainer[str]
    json_schema: str
    def __init__(self, document_type: _Optional[_Union[_schema_pb2.DocumentType, str]] = ..., fields: _Optional[_Iterable[str]] = ..., json_schema: _Optional[str] = ...) -> None: ...

class Load(_message.Message):
    __slots__ = ("running_requests", "queued_requests", "kv_cache_utilization", "queued_tokens")
    RUNNING_REQUESTS_FIELD_NUMBER: _ClassVar[int]
    QUEUED_REQUESTS_FIELD_NUMBER: _ClassVar[int]
    KV_CACHE_UTILIZATION_FIELD_NUMBER: _ClassVar[int]
    QUEUED_TOKENS_FIELD_NUMBER: _ClassVar[int]
    running_requests: int
    queued_requests: int
    kv_cache_utilization: float
    queued_tokens: int
    def __init__(self, running_requests: _Optional[int] = ..., queued_requests: _Optional[int] = ..., kv_cache_utilization: _Optional[float] = ..., queued_tokens: _Optional[int] = ...) -> None: ...
