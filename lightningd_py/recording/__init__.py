"""The recorder and the page as parts of a node (`--record`, `--web-addr`). Called by the node alone; what they do is in
`observatory/`, which is started as processes and not imported.
"""
