from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AnswerStyle(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ANSWER_STYLE_UNSPECIFIED: _ClassVar[AnswerStyle]
    ANSWER_STYLE_JSON: _ClassVar[AnswerStyle]
    ANSWER_STYLE_KEY_VALUE: _ClassVar[AnswerStyle]

class DocumentType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DOCUMENT_TYPE_UNSPECIFIED: _ClassVar[DocumentType]
    DOCUMENT_TYPE_RECEIPT: _ClassVar[DocumentType]
    DOCUMENT_TYPE_INVOICE: _ClassVar[DocumentType]
    DOCUMENT_TYPE_BANK_STATEMENT: _ClassVar[DocumentType]
    DOCUMENT_TYPE_AUTO: _ClassVar[DocumentType]

class FieldType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FIELD_TYPE_UNSPECIFIED: _ClassVar[FieldType]
    FIELD_TYPE_STRING: _ClassVar[FieldType]
    FIELD_TYPE_INTEGER: _ClassVar[FieldType]
    FIELD_TYPE_DECIMAL: _ClassVar[FieldType]
    FIELD_TYPE_BOOLEAN: _ClassVar[FieldType]
    FIELD_TYPE_DATE: _ClassVar[FieldType]
    FIELD_TYPE_OBJECT: _ClassVar[FieldType]
    FIELD_TYPE_MONEY: _ClassVar[FieldType]
    FIELD_TYPE_ENUM: _ClassVar[FieldType]
ANSWER_STYLE_UNSPECIFIED: AnswerStyle
ANSWER_STYLE_JSON: AnswerStyle
ANSWER_STYLE_KEY_VALUE: AnswerStyle
DOCUMENT_TYPE_UNSPECIFIED: DocumentType
DOCUMENT_TYPE_RECEIPT: DocumentType
DOCUMENT_TYPE_INVOICE: DocumentType
DOCUMENT_TYPE_BANK_STATEMENT: DocumentType
DOCUMENT_TYPE_AUTO: DocumentType
FIELD_TYPE_UNSPECIFIED: FieldType
FIELD_TYPE_STRING: FieldType
FIELD_TYPE_INTEGER: FieldType
FIELD_TYPE_DECIMAL: FieldType
FIELD_TYPE_BOOLEAN: FieldType
FIELD_TYPE_DATE: FieldType
FIELD_TYPE_OBJECT: FieldType
FIELD_TYPE_MONEY: FieldType
FIELD_TYPE_ENUM: FieldType

class ExtractionSchema(_message.Message):
    __slots__ = ("document_type", "field_list", "json_schema", "instructions", "answer_style")
    DOCUMENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    FIELD_LIST_FIELD_NUMBER: _ClassVar[int]
    JSON_SCHEMA_FIELD_NUMBER: _ClassVar[int]
    INSTRUCTIONS_FIELD_NUMBER: _ClassVar[int]
    ANSWER_STYLE_FIELD_NUMBER: _ClassVar[int]
    document_type: DocumentType
    field_list: FieldList
    json_schema: str
    instructions: str
    answer_style: AnswerStyle
    def __init__(self, document_type: _Optional[_Union[DocumentType, str]] = ..., field_list: _Optional[_Union[FieldList, _Mapping]] = ..., json_schema: _Optional[str] = ..., instructions: _Optional[str] = ..., answer_style: _Optional[_Union[AnswerStyle, str]] = ...) -> None: ...

class FieldList(_message.Message):
    __slots__ = ("fields",)
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    fields: _containers.RepeatedCompositeFieldContainer[FieldSpec]
    def __init__(self, fields: _Optional[_Iterable[_Union[FieldSpec, _Mapping]]] = ...) -> None: ...

class FieldSpec(_message.Message):
    __slots__ = ("name", "type", "description", "required", "list", "allowed_values", "fields", "max_length", "max_items")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    REQUIRED_FIELD_NUMBER: _ClassVar[int]
    LIST_FIELD_NUMBER: _ClassVar[int]
    ALLOWED_VALUES_FIELD_NUMBER: _ClassVar[int]
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    MAX_LENGTH_FIELD_NUMBER: _ClassVar[int]
    MAX_ITEMS_FIELD_NUMBER: _ClassVar[int]
    name: str
    type: FieldType
    description: str
    required: bool
    list: bool
    allowed_values: _containers.RepeatedScalarFieldContainer[str]
    fields: _containers.RepeatedCompositeFieldContainer[FieldSpec]
    max_length: int
    max_items: int
    def __init__(self, name: _Optional[str] = ..., type: _Optional[_Union[FieldType, str]] = ..., description: _Optional[str] = ..., required: _Optional[bool] = ..., list: _Optional[bool] = ..., allowed_values: _Optional[_Iterable[str]] = ..., fields: _Optional[_Iterable[_Union[FieldSpec, _Mapping]]] = ..., max_length: _Optional[int] = ..., max_items: _Optional[int] = ...) -> None: ...
