"""The ways out: which addresses a node may be found at, how each is reached, and dialling them in turn.
Called by connectd, and by a connectiond that runs on its own.
"""
