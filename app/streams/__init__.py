"""Faust, extended: an application whose partitions are owned, restored and written by the protocol of the log.

App, TransactionalTable and Step are what agents and tables see. Faust, RocksDB and the transactional producer appear
in this package only; it knows nothing of jobs. It does not decide, and it does not create topics.
"""
