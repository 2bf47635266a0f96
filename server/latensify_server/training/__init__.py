"""Training of the shipped `tiny` model: its scenes, its photographs, its looks and its schedule."""
