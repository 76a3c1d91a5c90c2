"""Typed queries over the views' stable SQL views, one file a subject. Each statement is a constant with its purpose
above it.

Not the views' definitions: those stand with the views. Times are ms since 1970, ids 16 bytes, positions as in
app.domain.positions.
"""
