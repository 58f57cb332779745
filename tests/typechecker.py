"""The run-time checker of annotations: beartype, told to let `Self` pass and an int be a float.

jaxtyping's import hook hands it one method at a time, and beartype can resolve `Self` only
when it is handed the class.
"""

from typing import Any, Self

from beartype import BeartypeConf, FrozenDict, beartype

check = beartype(conf=BeartypeConf(hint_overrides=FrozenDict({Self: Any}), is_pep484_tower=True))
