"""Views: tables in Postgres made of a topic of the log, by pure functions, exactly once.

view.py is the whole surface for those who write one; agents/views holds ours, entry point group `argosy.views` others'.
Does not know any view, nor how records come in (app.streams) or are asked for (app.db.queries).
"""
