"""Many recorders, one stream: what is recorded goes to NATS JetStream, and comes from there into an archive's folder.
Called by the commands `record`, `init` and `archive` alone; nothing else imports nats-py.
"""
