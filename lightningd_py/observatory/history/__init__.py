"""What can be asked of a record: the map as of a time, differences, propagation, and who says what how often.
Called by the commands; reads hour files and spool alike, and writes nothing.
"""
