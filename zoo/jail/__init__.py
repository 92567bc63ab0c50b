"""What runs between the parent and a jailed process. See `zoo.sandbox`."""
