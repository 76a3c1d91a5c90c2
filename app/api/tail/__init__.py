"""The API's one tail of argosy.events: it wakes clients that wait for their commands, feeds streams and wakes
executors.

`tail` reads and checks the records; `buffer` keeps the latest ones; `outcomes`, `channels` and `cluster_signals` serve
those who wait. All of it lives in one event loop: a record is handed to everybody before the next one is looked at.
"""
