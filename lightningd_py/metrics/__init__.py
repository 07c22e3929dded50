"""Metrics for Prometheus: what the daemons have counted is asked of them at each scrape, checked, and served by HTTP.
The node calls it, if there is --metrics-addr; prometheus_client is imported in `exposition.py` alone.
"""
