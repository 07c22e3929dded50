"""A small HTTP server with bounds, for pages that strangers may ask for. Called by metrics and by the observatory, and
knows neither.
"""
