"""Who may see what: keys, sessions, single sign-on, and the guard that every route passes."""
