"""The execution of INSERT, UPDATE and DELETE: requests in order, and what a transaction changed."""
