"""The master's half of onion messages: oniond as the master has it, and the services that hear what it opens.
Called by the node, its RPC and its buses.
"""
