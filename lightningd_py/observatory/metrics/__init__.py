"""What a recorder and an archive have counted, for Prometheus: `--metrics-addr` of `record` and `archive`, which alone
call it."""
