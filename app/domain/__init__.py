"""What Argosy decides, as pure functions of the log.

Holds ids, positions, the lifecycle table, commands, events, state rows, `decide` and `apply`. It does no I/O, reads
no clock, draws no random number and knows nothing of Kafka, Postgres or HTTP: time, ids and principals come inside
commands.
"""
