"""Questions about an installation, each answered by a finding with the statement that mends it."""
