"""The nouns of Pressmark: values, formats, and the checks on them.

If the rest vanished, this floor and the bytes would let a stranger check everything. It imports the standard
library only and touches no disk, network, clock or randomness; those are left to the floors above.
"""
