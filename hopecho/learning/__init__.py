"""An active-learning round: frames to label, when to stop, which potential to accept."""
