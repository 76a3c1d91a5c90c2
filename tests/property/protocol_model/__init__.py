"""An executable model of the executor's protocol: everything around the executor in miniature, the executor's own
rules for real.

`queue_agent` decides a log per partition, `leaders` schedule from lagging feeds (stale leaders too), `api` answers
from lagging and restored views, `kube` is a cluster in which creates and watch events are late or lost, `executor` is
a thin shell around app/executor's pure core. `world` interleaves them at random from a seed, `safety` says what must
hold, `mutations` switches single rules off."""
