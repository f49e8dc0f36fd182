"""What a profile promises, proved from the Plan that the kernel executes, over all states."""
