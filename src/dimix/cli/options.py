"""Options that several commands share: which part of the data, in what form, and parameters."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import typer
from jaxtyping import Shaped

if TYPE_CHECKING:  # scikit-learn takes a second that help does not need
    from dimix.data import Data, Preparation, Selection

LabelColumn = Annotated[
    str | None, typer.Option(help="The table's column with labels; default label, labels.")
]
Columns = Annotated[list[str] | None, typer.Option(help="A column to take; repeat; default all.")]
Drop = Annotated[list[str] | None, typer.Option(help="A column to leave out; repeat.")]
ImageSize = Annotated[str | None, typer.Option(metavar="HxW", help="Resize images, as in 28x28.")]
Split = Annotated[Literal["train", "test"], typer.Option(help="Of a data set that has two.")]
Standardize = Annotated[
    bool, typer.Option(help="Bring each column of a table to mean 0 and variance 1.")
]
Parameters = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="A parameter of the model; repeat."),
]


def wanted(
    columns: list[str] | None,
    drop: list[str] | None,
    label_column: str | None,
    image_size: str | None,
    split: str,
) -> dict[str, Any]:
    """The fields of a `Selection` that these options give."""
    return {
        "columns": tuple(columns) if columns else None,
        "drop": tuple(drop or ()),
        "label_column": label_column,
        "image_size": parse_size(image_size),
        "split": split,
    }


def prepared(
    source: str, selection: "Selection", *, standardize: bool
) -> tuple["Data", "Preparation", Shaped[np.ndarray, "N *shape"]]:
    """What was read, what prepares it and all data like it, and the rows that a model takes."""
    from dimix.data import Preparation, read

    data = read(source, selection)
    preparation = Preparation.of(
        data,
        standardize=standardize,
        resized=selection.image_size is not None,
        missing=selection.missing,
        source=source,
    )
    return data, preparation, preparation.apply(data, source)


def takes_gaps(parameters: Mapping[str, Any]) -> bool:
    """Whether the model takes missing values, under these parameters."""
    return parameters.get("allow_missing") is True


def parse_size(text: str | None) -> tuple[int, int] | None:
    """28x28 as two numbers."""
    if text is None:
        return None
    height, _, width = text.lower().partition("x")
    if not (height.isdecimal() and width.isdecimal() and int(height) and int(width)):
        raise ValueError(f"--image-size must be two numbers, as in 28x28; found {text!r}")
    return int(height), int(width)


def parse_set(texts: list[str] | None) -> dict[str, Any]:
    """NAME=VALUE by name; a value is JSON, or else text."""
    values = {}
    for text in texts or []:
        name, equals, value = text.partition("=")
        if not equals:
            raise ValueError(f"--set takes NAME=VALUE, as in --set views=2; found {text!r}")
        try:
            values[name.replace("-", "_")] = json.loads(value)
        except ValueError:
            values[name.replace("-", "_")] = value
    return values
