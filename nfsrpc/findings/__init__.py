"""What rules answer with: plain data, commands, and whether one finding explains another."""
