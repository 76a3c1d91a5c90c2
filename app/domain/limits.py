"""Every limit of the protocol in one place, and the constants that hold before any Settings command. Sizes in bytes
unless named otherwise."""

JOBS_PER_CALL_MAX = 1_000
IDS_PER_CALL_MAX = 10_000
QUEUES_PER_COMMAND_MAX = 1 << 10
"""that one command creates; a part of their incarnations, so it never changes"""
COMMAND_BYTES_MAX = 8 << 20
"""uncompressed Avro of one command record"""
EVENTS_RECORD_BYTES_MAX = 4 << 20
EVENTS_PER_RECORD_MAX = 4_000
"""events of one events record (up to 1,000 items of a command, each a few events); a longer command is cut into
several"""
RECORD_BYTES_MAX = 16 << 20
"""max.message.bytes of every topic"""
HTTP_BODY_BYTES_MAX = 24 << 20
POD_SPEC_BYTES_MAX = 256 << 10
NAME_CHARS_MAX = 253
JOB_SET_CHARS_MAX = 1_023
CLIENT_ID_CHARS_MAX = 100
REQUEST_ID_CHARS_MAX = 100
REASON_CHARS_MAX = 512
MESSAGE_CHARS_MAX = 4_096
"""a run's message or reason, longer ones are cut by the executor API"""
LABELS_BYTES_MAX = 64 << 10
PRIORITY_MAX = (1 << 31) - 1
AVOID_NODES_MAX = 16

GANG_ID_CHARS_MAX = 100
GANG_CARDINALITY_MAX = 10_000
"""a gang's leases must fit into one record"""
DISPLACED_PER_LEASE_MAX = 1_000

PREEMPTED_PER_COMMAND_MAX = 20_000
"""jobs that one PreemptJobs ends, with the gangs of those that it names"""
OPERATION_JOBS_PER_COMMAND_MAX = 1_000
OPERATION_IDS_NAMED_MAX = 10_000
CLIENT_IDS_EXPIRED_PER_COMMAND_MAX = 100

FIRST_OFFSET = -1
FIRST_EPOCH = -1
FIRST_SETTINGS_VERSION = 0
FIRST_MAX_ATTEMPTS = 4
"""attempted runs of a job (3 retries)"""
FIRST_CLIENT_ID_RETENTION_MS = 7 * 24 * 3_600_000

assert EVENTS_RECORD_BYTES_MAX < COMMAND_BYTES_MAX < RECORD_BYTES_MAX < HTTP_BODY_BYTES_MAX
assert POD_SPEC_BYTES_MAX < EVENTS_RECORD_BYTES_MAX
assert max(GANG_CARDINALITY_MAX, IDS_PER_CALL_MAX) <= PREEMPTED_PER_COMMAND_MAX
ATTEMPTS_TOTAL_MAX = 250
"""runs of a job, attempted or not: the attempt is one byte of its row"""
