"""The output types of the API; plain attributes wherever possible, because lists of such are completed in one loop."""
