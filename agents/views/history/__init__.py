"""View history: jobs with their runs and errors, job sets with counters by state, and the events of each job set.

view.py is the view; tables.py its tables and why they are cut so; plan.py events -> rows; encode.py rows -> COPY;
merge.py the set-based statements that move jobs between the tables of their states.
"""

from agents.views.history.view import VIEW

__all__ = ["VIEW"]
