"""The demonstration: a small fictional newspaper on loopback, and what Pressmark makes of it.

`wire` is a server that controls every byte, `certs` makes certificates for it, `newspaper` is the paper's
content and `server` puts the two together.
"""
