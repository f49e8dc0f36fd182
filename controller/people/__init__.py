"""People: who they are, what their role may do, what they signed. Imports the vocabulary only."""
