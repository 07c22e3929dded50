"""What is counted, each thing declared once, and plain counters. Daemons count and answer `get_metrics` with it; the
master asks them, for Prometheus.
"""
