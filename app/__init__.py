"""The platform: domain, log, streams, views, API, scheduler, executor and the tools to run them.

Rooms and what each may import are contracts in setup.cfg. The platform never imports `agents` or `tables` statically:
they plug into it and are found by name.
"""
