"""The bundled host: a C extension of Postgres that runs Python, its Python side and its installation."""
