"""Hyper-parameter search, scored by the bound on held-out data and never by labels.

`search` runs it, by Optuna (extra `search`); a space says which parameters are tried.
"""

from dimix.records.search import SearchResult, Trial
from dimix.search.models import SPACES
from dimix.search.run import Method, search
from dimix.search.space import Choice, Range, Space, read_space

__all__ = [
    "SPACES",
    "Choice",
    "Method",
    "Range",
    "SearchResult",
    "Space",
    "Trial",
    "read_space",
    "search",
]
