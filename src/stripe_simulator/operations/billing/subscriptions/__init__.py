"""Subscriptions, their items and schedules."""
