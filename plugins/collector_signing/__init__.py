"""To be filled."""

api = 1
