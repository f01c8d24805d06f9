"""The rules that data must keep before anything is learnt from it."""
