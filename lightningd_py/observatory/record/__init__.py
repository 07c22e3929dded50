"""The recorder: feed -> rows -> spool -> hour files, in one thread beside which another one writes the hour files.
Called by the command `record` alone.
"""
