"""One past, with and without the gate: what the runs leave behind, what it came to, and an account's own history."""
