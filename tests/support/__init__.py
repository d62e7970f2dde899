"""What several test modules share: small data sets, networks, model files and a web server."""
