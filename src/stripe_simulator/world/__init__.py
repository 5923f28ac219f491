"""Generated and written objects of accounts, without any knowledge of requests."""
