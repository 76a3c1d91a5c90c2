"""Pod specs: what a job asks of Kubernetes, checked, completed, made canonical and reduced to what placing needs.

`validation` says everything that is wrong with a spec, `defaults` completes it, `canonical` gives its bytes and id,
`quantity` its requests, `shape` the interned part that scheduling looks at, `labels` and `gangs` what stands beside
it, and `prepare` does all of that for one job. Pure: no input or output, clock, randomness or settings; limits are
arguments. It does not know jobs, queues or the log, and places nothing.
"""
