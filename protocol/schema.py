"""The protocol as other languages read it: JSON Schema and TypeScript, made from the types alone.

python -m protocol.schema json
python -m protocol.schema typescript
"""

import sys
from typing import Any, Final, get_args

import msgspec

from protocol.accounts import SignedIn
from protocol.agent import FromAgent, FromWorkbench
from protocol.codes import CLOSE_REASONS, ERRORS
from protocol.customer import FromCustomer
from protocol.server import ToCustomer, ToWorkbench

DIRECTIONS: Final[dict[str, Any]] = {
    "FromCustomer": FromCustomer,
    "FromAgent": FromAgent,
    "FromWorkbench": FromWorkbench,
    "ToCustomer": ToCustomer,
    "ToWorkbench": ToWorkbench,
}
# Answers over HTTP that the pages read. They are always written whole.
ANSWERS: Final[tuple[type[msgspec.Struct], ...]] = (SignedIn,)
_REF: Final = "#/$defs/{name}"
_HEAD: Final = (
    "// Made by `python -m protocol.schema typescript` from protocol/*.py. Do not edit.\n"
)
_SCALARS: Final = {
    "string": "string",
    "integer": "number",
    "number": "number",
    "boolean": "boolean",
    "null": "null",
}


def json_schema() -> dict[str, Any]:
    """One document; each direction is a definition that allows any of its frames."""
    schemas, components = msgspec.json.schema_components(
        [*DIRECTIONS.values(), *ANSWERS], ref_template=_REF
    )
    for answer in ANSWERS:
        definition = components[answer.__name__]
        definition["required"] = list(definition["properties"])
    document = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "kefu chat protocol",
        "$defs": {
            **{name: components[name] for name in sorted(components)},
            **dict(zip(DIRECTIONS, schemas, strict=False)),
        },
    }
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(document))
    return plain  # without the tuples of defaults


def typescript() -> str:
    """Every frame and answer as an interface, every direction a union, every code a constant."""
    definitions = json_schema()["$defs"]
    parts = [_HEAD]
    for name, schema in definitions.items():
        if schema.get("type") == "object":
            parts.append(_interface(name, schema))
        else:
            parts.append(f"export type {name} = {_type(schema)}\n")
    for name, frames in DIRECTIONS.items():
        tags = " | ".join(f"'{frame.__struct_config__.tag}'" for frame in get_args(frames))
        parts.append(f"export type {name}Type = {tags}\n")
    statuses = ", ".join(f"{code}: {row.http_status}" for code, row in ERRORS.items())
    parts.append(f"export const HTTP_STATUS: Record<ErrorCode, number> = {{ {statuses} }}\n")
    closes = ", ".join(f"{code.name}: {int(code)}" for code in CLOSE_REASONS)
    parts.append(f"export const CLOSE = {{ {closes} }} as const\n")
    return "\n".join(parts)


def _interface(name: str, schema: dict[str, Any]) -> str:
    required = set(schema.get("required", ()))
    lines = [
        f"  {field}{'' if field in required else '?'}: {_type(shape)}"
        for field, shape in schema["properties"].items()
    ]
    comment = (
        f"/** {' '.join(schema['description'].split())} */\n" if "description" in schema else ""
    )
    body = "\n".join(lines)
    return f"{comment}export interface {name} {{\n{body}\n}}\n" if lines else _empty(name)


def _empty(name: str) -> str:
    return f"export type {name} = Record<string, never>\n"


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).rsplit("/", 1)[-1]
    if "enum" in schema:
        return " | ".join(msgspec.json.encode(value).decode() for value in schema["enum"])
    if "anyOf" in schema:
        return " | ".join(_type(option) for option in schema["anyOf"])
    if schema.get("type") == "array":
        return _array(schema)
    return _SCALARS[schema["type"]]


def _array(schema: dict[str, Any]) -> str:
    if "prefixItems" in schema:
        return f"[{', '.join(_type(item) for item in schema['prefixItems'])}]"
    inner = _type(schema["items"])
    return f"({inner})[]" if " | " in inner else f"{inner}[]"


def main(arguments: list[str]) -> int:
    """Print the form asked for; 2 when it is none of the two."""
    if arguments == ["typescript"]:
        sys.stdout.write(typescript())
        return 0
    if arguments == ["json"]:
        sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(json_schema())) + b"\n")
        return 0
    sys.stderr.write("usage: python -m protocol.schema json|typescript\n")
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
