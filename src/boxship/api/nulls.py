"""Nulls in request bodies: Go reads one as the field's zero value, so its clients send them.

msgspec refuses a null where the type has none, and is right for everything we write ourselves.
"""

from typing import Any

import msgspec
from msgspec.inspect import DictType, ListType, StructType, Type, UnionType, type_info


def without_nulls(data: bytes, kind: type[Any]) -> object:
    """Decode a document and drop the null fields of its objects; nulls within maps stay.

    Raises:
        msgspec.DecodeError: it is no JSON.
    """
    return _clean(msgspec.json.decode(data), type_info(kind))


def _clean(value: Any, kind: Type) -> object:
    if isinstance(kind, UnionType):
        return next((_clean(value, one) for one in kind.types if _fits(value, one)), value)
    if isinstance(value, dict):
        return _clean_object(value, kind)
    if isinstance(value, list) and isinstance(kind, ListType):
        return [_clean(item, kind.item_type) for item in value]
    return value


def _clean_object(value: dict[str, Any], kind: Type) -> dict[str, object]:
    if isinstance(kind, DictType):
        return {key: _clean(item, kind.value_type) for key, item in value.items()}
    if not isinstance(kind, StructType):
        return value
    known = {field.encode_name: field.type for field in kind.fields}
    return {
        key: _clean(item, known[key]) if key in known else item
        for key, item in value.items()
        if item is not None
    }


def _fits(value: object, kind: Type) -> bool:
    return (
        isinstance(kind, (StructType, DictType))
        if isinstance(value, dict)
        else (isinstance(value, list) and isinstance(kind, ListType))
    )
