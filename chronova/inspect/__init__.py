"""Looking at a site: what happened, why, what is happening, how everything is."""
