"""Who acts: the decider runner, the reactions, the scheduler process, the host agent."""
