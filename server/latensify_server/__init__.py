"""The Latensify server."""
