"""Rules on ports, connections and paths."""
