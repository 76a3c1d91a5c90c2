"""The mutations, one file each. A file holds the resolver; what it does stands in app.api.service."""
