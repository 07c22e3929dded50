"""The ZMQ buses and the feed: their messages, declared once, and the sessions of services over them.
Used by the master (CTL, CHNL, API), connectiond (MSG), gossipd (the feed), and programs that take the feed.
"""
