"""What every command needs of the machine: progress, interruption, devices, processes."""
