"""What the commands of ours have in common: how they begin, parse, print, complain, and hear signals.
The console scripts import it before anything else, the daemons for their signals.
"""
