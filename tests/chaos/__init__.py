"""Chaos: random changes at Stripe and through ``stripe.*`` while everything that carries them fails.

``make chaos`` runs it. The seed determines the steps: which change comes when, and what is disturbed before.
"""
