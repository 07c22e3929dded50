"""connectiond on its own, without a master: the command `connectiond`.

Made of connectd's modules up to INIT, and of the hub of connectiond. No other room imports it.
"""
