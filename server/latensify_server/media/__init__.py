"""Plates and mattes on disk: frame lists, image sequences, stills and movies."""
