"""How long the graphs take: ours, upstream's, and the source."""
