"""What people and programs look up: lists of jobs, positions in the queue, costs, providers, what needs a person.

Not here: anything that changes a row. Steps import nothing of this.
"""
