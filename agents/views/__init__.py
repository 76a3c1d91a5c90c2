"""Views: one file (or folder), one read model in Postgres, written against `app.views.view`. A view does not import
another view, reads no clock and asks nobody: its rows follow from the records of its topic alone.
"""
