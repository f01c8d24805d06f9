"""What planners see: pages made on the server, brought to life by small scripts of our own."""
