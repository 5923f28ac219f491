"""Parameters and responses of API requests: parsing, validation, filters, pages, searches, expansion."""
