"""Frames made at will from the protocol's own types: any frame, within every limit."""

from datetime import UTC, datetime
from typing import Any, get_args

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from msgspec import inspect

from protocol.agent import ChatTransfer, FromAgent, FromWorkbench
from protocol.customer import FromCustomer
from protocol.server import ToCustomer, ToWorkbench

# A busy machine is no finding.
PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

DIRECTIONS: dict[str, Any] = {
    "FromCustomer": FromCustomer,
    "FromAgent": FromAgent,
    "FromWorkbench": FromWorkbench,
    "ToCustomer": ToCustomer,
    "ToWorkbench": ToWorkbench,
}
TEXT = st.characters(exclude_characters="\x00", codec="utf-8")
TIMES = st.datetimes(
    min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1), timezones=st.just(UTC)
)


def frames(direction: Any) -> st.SearchStrategy[Any]:
    """Any frame of a direction, each type as likely as the other."""
    return st.one_of([built(frame) for frame in get_args(direction)])


def built(struct: Any) -> st.SearchStrategy[Any]:
    """Any instance of a struct; what has a default is sometimes left out."""
    kind = inspect.type_info(struct)
    assert isinstance(kind, inspect.StructType)
    made = st.fixed_dictionaries(
        {field.name: _valued(field.type) for field in kind.fields if field.required},
        optional={field.name: _valued(field.type) for field in kind.fields if not field.required},
    )
    if struct is ChatTransfer:
        made = made.map(_to_one_receiver)
    return made.map(lambda values: struct(**values))


def _to_one_receiver(values: dict[str, Any]) -> dict[str, Any]:
    if (values.get("to_agent_id") is None) == (values.get("to_team_id") is None):
        return {**values, "to_agent_id": values["chat_id"], "to_team_id": None}
    return values


def _valued(kind: inspect.Type) -> st.SearchStrategy[Any]:
    match kind:
        case inspect.StructType(cls=cls):
            return built(cls)
        case inspect.UnionType(types=types):
            return st.one_of([_valued(option) for option in types])
        case inspect.StrType(min_length=least, max_length=most):
            return st.text(TEXT, min_size=least or 0, max_size=min(most or 40, 40))
        case inspect.IntType(ge=least, le=most):
            return st.integers(least or 0, 2**53 - 1 if most is None else most)
        case inspect.FloatType():
            return st.floats(0, 1e6)
        case inspect.BoolType():
            return st.booleans()
        case inspect.UUIDType():
            return st.uuids()
        case inspect.DateTimeType():
            return TIMES
        case inspect.NoneType():
            return st.none()
        case inspect.LiteralType(values=values):
            return st.sampled_from(values)
        case inspect.EnumType(cls=cls):
            return st.sampled_from(list(cls))
        case inspect.TupleType(item_types=items):
            return st.tuples(*(_valued(item) for item in items))
        case inspect.VarTupleType(item_type=item):
            return st.lists(_valued(item), max_size=3).map(tuple)
        case _:
            raise NotImplementedError(kind)
