"""Where dlt comes in: files become tables, as the load mode says, in one run or in many tasks.

The settings of a run are declared here, and so is what is kept from one run to the next. It is not called `load`,
because `ecr_source.load` is the function.

Imports all but `cli`.
"""
