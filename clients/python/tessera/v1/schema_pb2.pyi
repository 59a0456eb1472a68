from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class DocumentType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DOCUMENT_TYPE_UNSPECIFIED: _ClassVar[DocumentType]
    DOCUMENT_TYPE_RECEIPT: _ClassVar[DocumentType]
    DOCUMENT_TYPE_INVOICE: _ClassVar[DocumentType]
    DOCUMENT_TYPE_BANK_STATEMENT: _ClassVar[DocumentType]
DOCUMENT_TYPE_UNSPECIFIED: DocumentType
DOCUMENT_TYPE_RECEIPT: DocumentType
DOCUMENT_TYPE_INVOICE: DocumentType
DOCUMENT_TYPE_BANK_STATEMENT: DocumentType

class ExtractionSchema(_message.Message):
    __slots__ = ("document_type", "instructions")
    DOCUMENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    INSTRUCTIONS_FIELD_NUMBER: _ClassVar[int]
    document_type: DocumentType
    instructions: str
    def __init__(self, document_type: _Optional[_Union[DocumentType, str]] = ..., instructions: _Optional[str] = ...) -> None: ...
