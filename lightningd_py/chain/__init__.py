"""What the master knows of the chain: none, or a Bitcoin node that is followed and asked for funding outputs.
The core makes a source by `choice.py`, and daemons/gossip_control asks it; its interface is in `source.py`.
"""
