"""Small programs that run inside the hosts of a lab: server, terminator, user terminal, and their protocol."""
