"""A compressor for attnscope: the network, and the adapter that the server makes."""
