"""The executor: one process per Kubernetes cluster that turns leases into pods and pods into reports (protocol:
executor-api.md).

Pure core: `rules` (every rule by name), `desired` and `actual` (what the log wants, what the cluster has), `answers`
(an answer of the API is taken), `reconcile` (what follows from both). Shell: `sync_client` and `lanes` (HTTP),
`applier` (the cluster), `loop` (the process). `kubernetes` is the cluster as the executor sees it; `fake_cluster`
implements it in-process. Nothing here reads Kafka or Postgres."""
