"""A history of what clients asked and saw while faults happen, and a checker of it.

``clients`` ask and write down, ``run`` inflicts faults meanwhile and adds what the log holds,
``checker`` proves from the file alone that answers, reads and the log fit each other. A file that
was kept can be checked again: ``python -m tests.chaos.history FILE``.

The known checkers (Jepsen's Knossos and Elle, Porcupine) are Clojure and Go, there is none for
Python; they search for an order that explains a history, and here the log is that order.
"""
