"""GraphQL over app.api.service: schema, view, and what makes large calls cheap. Names and meaning: api.graphql
(reference).

One mutation is one file in `mutations/`; `schema.py` puts everything together; `schema.graphql` beside this folder is
the SDL as committed, and a test compares it.
"""
