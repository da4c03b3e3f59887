"""Where people, programs and agents are answered, over a local socket or in the process."""
