"""What a model remembers, in bytes: from shapes alone, never from a name; imports neither torch nor any user interface."""
