"""What `latensify bench` measures: each figure with the bound that it is held to."""
