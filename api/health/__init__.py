"""``/healthz``: is this API fit to serve, and if not, which part is ill?

``checks`` asks parts at once and within a limit, ``parts`` are what can be ill, ``resource``
answers.
"""
