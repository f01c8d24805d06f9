"""Who may see what: keys, sessions, single sign-on, and checks of requests from other sites."""
