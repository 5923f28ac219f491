"""The bundled host: a C extension that runs the wrapper in Postgres, its Python side, its installation."""
