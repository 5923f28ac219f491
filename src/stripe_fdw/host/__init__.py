"""The bundled host: a C extension that runs the wrapper inside Postgres, its Python side, its installation."""
