"""What the API does, without GraphQL and without HTTP: validation, commands, waiting, reading, streams.

Inputs: typed inputs (`inputs`) and a `Principal`. Outputs: plain values and `Fault`s; ApiError where a request cannot
be served.
"""
