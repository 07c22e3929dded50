"""Who owns which connection: the table, the decisions, and the programs that own one.
Called by peers/, daemons/, rpc/ and bus/.
"""
