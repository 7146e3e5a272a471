"""From answers of rules to one diagnosis: runs the rules, orders causes, gives the verdict."""
