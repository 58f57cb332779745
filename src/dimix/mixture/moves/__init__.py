"""Changes of the number of components, each kept only if the full bound rises.

``partition`` holds the bound as a function of the responsibilities; ``merging``, ``deleting``
and ``splitting`` (births too) propose, ``heirs`` says which mergers the rows themselves would
choose; ``search`` alternates them with coordinate ascent.
"""
