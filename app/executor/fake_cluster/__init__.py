"""An in-process Kubernetes: nodes from a description, pods that are computed, a journal on disk.

It interprets a pod's commands (`program`), computes its status from creation time, spec and now (`life`), and writes
creations and deletions down (`journal`), so pods live on while the executor is dead. It starts no process and pulls no
image. `check` reads journals from outside and says what must never have happened.
"""
