"""The API process: GraphQL for people and programs, the sync endpoint for executors, health for operators.

Inputs: HTTP and WebSocket requests; events of argosy.events (`tail`); rows of Postgres (app.db.queries). Outputs:
commands in argosy.commands, updates in argosy.clusters, answers. It decides nothing about jobs: authentication,
validation and defaults happen here, everything else in the queue agent. `service` knows no GraphQL; `graphql` and
`executor_api` know no Kafka client and no SQL.
"""
