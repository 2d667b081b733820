"""Requests and answers: the platform's events, the parameters, and the web server."""
