"""How a job moves, as values and pure functions: the table of moves, the rows as values, the judge of facts, the
timetable, the route, our words for what goes wrong, a job as its client sees it.

Not here: I/O of any kind, and the clock. `now` is given.
"""
