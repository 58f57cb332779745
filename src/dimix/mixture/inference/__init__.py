"""How a mixture meets data: the two products, over chunks, blocks, minibatches or ranks.

``starts`` gives the first responsibilities. ``batch`` sweeps all rows, ``stochastic`` takes
minibatches, ``memoized`` blocks that are read again each pass; all collect the same S.
"""
