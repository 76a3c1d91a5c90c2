"""The subscriptions, one file each."""
