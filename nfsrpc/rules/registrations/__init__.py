"""Rules on what portmappers and rpcbind have registered."""
