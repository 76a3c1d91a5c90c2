"""The committed SDL is the schema, and it keeps the names of the API's core."""

from graphql import GraphQLNamedType, GraphQLObjectType

from app.api.graphql.schema import SDL_FILE, make_schema, sdl

CORE_FIELDS = {
    "Mutation": {"createQueues", "submitJobs", "cancelJobs", "cancelJobSet"},
    "Query": {
        "job",
        "jobs",
        "jobGroups",
        "jobSet",
        "queue",
        "queues",
        "clusters",
        "nodes",
        "pools",
        "rounds",
        "explain",
    },
    "Subscription": {"jobSetEvents"},
    "SubmitJobsPayload": {"position", "results", "errors"},
    "SubmitResult": {"index", "jobId", "duplicate", "error"},
    "JobsPayload": {"position", "affected", "affectedCount", "notAffected", "errors"},
    "QueuesPayload": {"position", "queues", "errors"},
    "FieldError": {"code", "rule", "index", "path", "message"},
    "ItemError": {"id", "code", "message"},
    "EventBatch": {"events", "cursor", "caughtUp", "heartbeat"},
}


def fields_of(served: GraphQLNamedType) -> set[str]:
    assert isinstance(served, GraphQLObjectType)
    return set(served.fields)


def test_the_committed_schema_is_what_the_program_serves() -> None:
    assert SDL_FILE.read_text() == sdl(), "write it anew: python -m app.api.graphql.write_schema"


def test_the_names_of_the_core_are_those_of_the_reference() -> None:
    types = make_schema()._schema.type_map
    for name, fields in CORE_FIELDS.items():
        assert fields <= fields_of(types[name]), name


def test_an_event_has_an_identity_and_a_position() -> None:
    event = make_schema()._schema.type_map["JobEvent"]
    assert {"id", "position", "kind", "terminal", "time", "jobId"} <= fields_of(event)
