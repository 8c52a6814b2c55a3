"""What goes in and out, and one sentence for what is wrong with it."""

import json
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field

from fiat_jax.errors import did_you_mean

Fields = dict[str, Any]


class Asked(BaseModel):
    """A request for answers."""

    model_config = ConfigDict(extra="forbid", strict=True)

    inputs: Annotated[Fields | list[Fields], Field(description="A row, or rows, of the task's fields.")]
    adapter: Annotated[str | None, Field(description="The name of an adapter; by default the first.")] = None
    seed: Annotated[
        int | None,
        Field(ge=0, lt=2**31, description="Which random answers to give; by default by each row's id."),
    ] = None

    def rows(self) -> list[Fields]:
        """The rows, also where there is one only."""
        return [self.inputs] if isinstance(self.inputs, dict) else self.inputs


class Answered(BaseModel):
    """The answer to a row."""

    id: Annotated[str, Field(description="The row's own, or one made of what is in it.")]
    prediction: Annotated[str, Field(description="The answer.")]
    score: Annotated[float, Field(description="Its log-probability; of beams, their score.")]
    tokens: Annotated[int, Field(description="How many tokens it has.")]
    rationale: Annotated[str, Field(description="What the reasoner wrote; empty without one.")] = ""
    cut: Annotated[
        dict[str, float], Field(description="The share of each field that was cut to fit the model.")
    ] = {}
    asked: Annotated[
        bool | None, Field(description="Whether the reasoner was asked, where it is not about every row.")
    ] = None
    predictions: Annotated[list[str] | None, Field(description="Of a beam search, several.")] = None
    scores: Annotated[list[float] | None, Field(description="Their scores.")] = None


class Wrong(BaseModel):
    """Why there is no answer."""

    error: str


class About(BaseModel):
    """What is served."""

    model: str
    task: str
    variant: str
    fields: Annotated[Sequence[str], Field(description="What a row has.")]
    adapters: Annotated[Sequence[str], Field(description="By name, the default first.")]
    limits: dict[str, int | float]


def why_unsendable(rows: Sequence[Fields]) -> str | None:
    """What JSON lets through and text does not: half of a character, a number that is none; or None."""
    try:
        json.dumps(rows, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError:
        return "inputs: expected text, found half of a surrogate pair."
    except (ValueError, RecursionError) as error:
        return f"inputs: expected rows of text and numbers, found something else ({error})."
    return None


def sentence(wrong: RequestValidationError) -> str:
    """What is wrong with a body, in one sentence."""
    error, body = wrong.errors()[0], wrong.body
    place = error["loc"][1:]
    if error["type"] == "json_invalid":
        return f"body: expected JSON, found a mistake at character {place[0]} ({error['ctx']['error']})."
    if not place:
        return (
            "body: expected a JSON object with 'inputs', sent with Content-Type: application/json, "
            f"found {_kind(body)}."
        )
    name = str(place[0])
    if error["type"] == "extra_forbidden":
        return f"{name}: expected no such field; {did_you_mean(name, Asked.model_fields)}"
    if name == "inputs":
        rows = "a row, which is an object of the task's fields, or a list of rows"
        return f"inputs: expected {rows}, found {_found(body.get('inputs'))}."
    expected = error["msg"].replace("Input should be ", "")
    return f"{name}: expected {expected}, found {_kind(error['input'])}."


def _found(rows: Any) -> str:
    """What stands where rows should."""
    if not isinstance(rows, list):
        return _kind(rows)
    at = next(i for i, row in enumerate(rows) if not isinstance(row, dict))
    return f"{_kind(rows[at])} at {at}"


def _kind(value: Any) -> str:
    """A value as JSON calls it."""
    if isinstance(value, bool | int | float):
        return str(value)
    kinds = {dict: "an object", list: "a list", str: "a string", bytes: "something else", type(None): "none"}
    return kinds[type(value)]
