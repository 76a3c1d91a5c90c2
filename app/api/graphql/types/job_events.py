"""The events of one job, out of the rows that its job set's events stand in."""

from app.api.coordinates import Coordinates
from app.api.graphql.types.events import JobEvent, event_of
from app.api.tail.channels import ChannelKey, StreamEvent
from app.db.queries.job_events import JobEventsFound
from app.log.codec import decode_events

EVENTS_MAX = 1_000


def events_of_job(found: JobEventsFound, coordinates: Coordinates) -> list[JobEvent]:
    """In order, the last EVENTS_MAX."""
    job = found.job
    key = ChannelKey(job.queue, job.incarnation, job.job_set)
    events = [
        StreamEvent(block.offset, block.log_time_ms, event)
        for block in found.blocks
        if job.job_id in block.body
        for event in decode_events(block.body)
        if event.job_id == job.job_id
    ]
    return [event_of(each, key, found.partition, coordinates) for each in events[-EVENTS_MAX:]]
