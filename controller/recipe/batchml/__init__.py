"""Recipes as BatchML (MESA International, B2MML V0701): out of our YAML, and into it.

What BatchML has no element for travels as `OtherInformation`, which the schema allows and another
system may leave unread; `beyond.py` is the list of it.
"""
