"""`users`: administration of the users, in Redis or in SQL."""
