"""Everything that only Multicorn2 needs: its wrapper class, its quals, its rows and its errors."""
