// Words of the list of jobs: its orders, and how live it is.
export const lists = {
  orders: {
    "ID:DESC": "Newest first",
    "ID:ASC": "Oldest first",
    "LAST_TRANSITION:DESC": "Last change first",
    "LAST_TRANSITION:ASC": "Longest unchanged first",
    "QUEUE:ASC": "Queue, A to Z",
    "QUEUE:DESC": "Queue, Z to A",
    "JOB_SET:ASC": "Job set, A to Z",
    "JOB_SET:DESC": "Job set, Z to A",
    "STATE:ASC": "State, queued first",
    "STATE:DESC": "State, ended first",
    "PRIORITY:DESC": "Largest priority first",
    "PRIORITY:ASC": "Smallest priority first",
    "RUN_TIME:DESC": "Longest run first",
    "RUN_TIME:ASC": "Shortest run first",
  } as Record<string, string>,
  left: "This job does not match the filter any more",
};
