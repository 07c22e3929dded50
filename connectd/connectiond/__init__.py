"""connectiond, a process of its own: the connections of services that talk ZMQ, bridged to the MSG bus.
Started by the master; `alone/` runs the same hub without one.
"""
