"""What the release before wrote, and whether this one and that one read each other's."""
