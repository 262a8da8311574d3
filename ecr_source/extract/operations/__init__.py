"""One operation in one scope: what there is to ask, how it is asked, and what came of it."""
