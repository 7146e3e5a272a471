"""The answers of rules: plain data, commands, and whether one finding explains another."""
