"""Independent implementations to compare with. Nothing here is used by the library."""
