"""The garbage collector of a process that makes and drops hundreds of thousands of small values a second.

Batches hold no cycles, so reference counting frees them; with the usual thresholds the collector walks over a batch in
the making again and again, which is a third of a view's time.
"""

import gc

YOUNG_OBJECTS_MAX = 1_000_000
YOUNG_COLLECTIONS, MIDDLE_COLLECTIONS = 20, 20


def collect_rarely() -> None:
    """What was loaded until now is never looked at again; what comes, rarely."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS_MAX, YOUNG_COLLECTIONS, MIDDLE_COLLECTIONS)
