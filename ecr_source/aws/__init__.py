"""Who is asked, and how a call is made.

Accounts and regions become scopes, each with its clients. botocore makes the requests and libcurl sends them. A call is
made again when that can help, as fast as the service allows and within the budget; what an error means is settled here.
So are the IAM policies that allow the calls.

Imports `catalog`.
"""
