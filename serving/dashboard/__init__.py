"""The planners' dashboard: pages made on the server, made interactive by small scripts."""
