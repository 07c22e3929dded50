"""A map written in the formats of others, and files that are written whole or not at all. Called by `lightning-cli-py
export` and by `lightning-observatory`.
"""
