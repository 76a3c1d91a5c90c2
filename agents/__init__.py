"""Agents: one file, one agent. Each has `attach(app)`, which adds its topics, tables and agent to a Faust
application. They speak `app.streams` and do not import Faust, and the platform does not import them: it finds them by
name.
"""
