"""Operations of the simulator: a package for each area of the API, and their registry."""
