"""Agents: one file, one agent. Each has `attach(app)`, which adds its topics, tables and agent to a Faust
application."""
