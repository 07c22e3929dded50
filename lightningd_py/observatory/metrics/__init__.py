"""What a recorder and an archive have counted, for Prometheus. The commands `record` and `archive` alone call it, for
their `--metrics-addr`.
"""
