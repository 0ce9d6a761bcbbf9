"""What makers of a release run: the Bento and its check. Never part of what is served."""
