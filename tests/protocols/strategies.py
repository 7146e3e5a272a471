"""Hypothesis strategies from declarations: any value of a type, as the encoder takes it and the decoder gives it."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from nfsrpc.protocols import xdr

LONGEST = 20  # of opaques, strings and names: longer ones mean nothing else
MOST = 3  # items of a list

Strategy = st.SearchStrategy[Any]

INTEGERS = {
    "i32": st.integers(-(2**31), 2**31 - 1),
    "u32": st.integers(0, 2**32 - 1),
    "i64": st.integers(-(2**63), 2**63 - 1),
    "u64": st.integers(0, 2**64 - 1),
}


def values(kind: xdr.Type) -> Strategy:
    match kind:
        case xdr.Void():
            return st.none()
        case xdr.Number():
            return INTEGERS[kind.kind]
        case xdr.Boolean():
            return st.booleans()
        case xdr.Enum():
            known = st.sampled_from(list(kind.values))
            unknown = st.integers(0, 2**31 - 1).filter(lambda number: number not in kind.names)
            return known | unknown if kind.open else known
        case xdr.Status():
            return values(kind.enum)
        case xdr.String():
            content = st.binary(max_size=min(kind.limit, LONGEST))
            return content.map(lambda raw: raw.decode("utf-8", "surrogateescape"))
        case xdr.Opaque():
            return st.binary(max_size=min(kind.limit, LONGEST))
        case xdr.FixedOpaque():
            return st.binary(min_size=kind.size, max_size=kind.size)
        case xdr.Optional():
            return st.none() | values(kind.item)
        case xdr.FixedArray():
            return st.lists(values(kind.item), min_size=kind.count, max_size=kind.count)
        case xdr.Sequence():
            return st.lists(values(kind.item), max_size=MOST)
        case xdr.Struct():
            return st.fixed_dictionaries({name: values(field) for name, field in kind.fields.items()})
        case xdr.Union():
            return values(kind.discriminant).flatmap(lambda chosen: arm(kind, chosen))
    raise AssertionError(f"no strategy for {kind}")


def arm(kind: xdr.Union, chosen: Any) -> Strategy:
    """A union's values of one arm; its discriminant alone where that arm is void."""
    inside = values(kind.arm(kind.discriminant.number_of(chosen)))
    return inside.map(lambda fields: {kind.name: chosen, **(fields or {})})
