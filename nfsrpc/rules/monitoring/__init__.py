"""Rules on statd: monitoring of hosts, and notices of reboot."""
