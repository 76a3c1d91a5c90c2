"""Changelog tables: one file, one table. What its rows are, what is derived from them locally, and how deciding reads
them. They decide nothing: rules stand in app.domain.
"""
