"""``chronova doctor``: is this site as it must be, and if not, what is to be done?

Each examination gives findings; one that cannot be made is a finding too. Nothing is changed,
except that one record of the ``replies`` topic, which keeps an hour, is written to read its clock.
"""
