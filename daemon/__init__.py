"""The daemon: takes requests, queues them, keeps the workers running."""
