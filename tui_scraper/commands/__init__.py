"""The commands of the command line, a thin function for each, by what they are for."""
