"""Who is asked, and how a call is made: accounts, regions, scopes, clients; one call, one listing; the IAM policies.

Imports `catalog`.
"""
