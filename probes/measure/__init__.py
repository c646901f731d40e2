"""Everything that is measured of a concept at a stage; nothing to the right of this room runs a model."""
