"""What breaks around the app: disks, files, clocks, processes. Each test really does it."""
