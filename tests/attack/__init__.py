"""What is done to a running service to shake it: `make attack`, and in short form the slow tests."""
