"""Invoices and their lines, items and payments."""
