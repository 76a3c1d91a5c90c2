"""A real Kubernetes cluster behind the `Cluster` protocol, on the asynchronous half of the `kubernetes` package.

Its generated models are not used: they cost more CPU than everything else an executor does. Configuration, credentials
and connections are the package's, JSON is decoded into the few fields that are needed.
"""
