"""Taking gossip in, in the order of the pipeline: cheap checks, signatures, funding output, then map and store.
Called by peers/ with each gossip message; reports to the feed, and to the judge of peers.
"""
