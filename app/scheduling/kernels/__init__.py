"""The loops of a round, compiled by numba: arrays in, arrays out, integers for resources.

`compiled` runs as machine code without the interpreter lock; `uncompiled` is the same source as plain Python. Both
give the same result for the same input, so which one runs is only a matter of speed.
"""
