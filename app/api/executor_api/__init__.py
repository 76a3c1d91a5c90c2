"""The executors' half of the API: `POST /executor/v1/sync`. Rules: executor-api.md (reference); wire:
app.executor.protocol.

`sync` is the endpoint; `instances` knows which executor process speaks for a cluster, `cluster_feed` what
argosy.clusters says; `reports` brings reports into the log, `lease_answers` leases and stops out of the view; `alive`
says that this process is there.
"""
