"""The scheduler process: leadership, the feed of all partitions' state, the loop of rounds, the publisher.

A thin shell: which job goes where is `app.scheduling`'s; whether a lease stands is decided by the queue agent. It
shares no memory with anybody and writes nothing but commands, leadership and round records.
"""
