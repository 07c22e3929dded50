"""What many vantage points hear at this moment, out of what their recorders send to NATS: as the feed's messages, and
as figures of each. Called by `lightning-cli-py feed --nats` and `top --nats`, and by the page.
"""
