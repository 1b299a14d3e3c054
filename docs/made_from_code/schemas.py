"""JSON Schemas of the files that runs leave."""

from __future__ import annotations

import json

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from distillbench.results.schema import StoredFailure, StoredResult
from distillbench.results.store import FORMAT

_DIALECT = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
_SCHEMAS = "https://raw.githubusercontent.com/distillbench/distillbench/main/docs/schema"


class _Untitled(GenerateJsonSchema):
    """JSON Schema without titles that only repeat a field's name."""

    def field_title_should_be_set(self, schema: object) -> bool:
        """Tells whether a field gets a title: none does."""
        return False


def schemas() -> dict[str, str]:
    """Makes the JSON Schemas of result files and failure files, by name."""
    result = TypeAdapter(StoredResult).json_schema(schema_generator=_Untitled)
    result["properties"] = {"format": {"const": FORMAT}, **result["properties"]}
    result["required"] = ["format", *result["required"]]
    failure = TypeAdapter(StoredFailure).json_schema(schema_generator=_Untitled)
    return {
        name: json.dumps({**_DIALECT, "$id": f"{_SCHEMAS}/{name}.json", **schema}, indent=1) + "\n"
        for name, schema in (("result", result), ("failure", failure))
    }
