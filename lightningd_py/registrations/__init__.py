"""Who wants what is not gossip: the table of the programs of the options and the services of the buses.
Asked by owners/ and daemons/, changed by bus/ and rpc/.
"""
