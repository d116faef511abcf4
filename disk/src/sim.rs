//! A simulated disk that forgets what was not synced, and a harness that cuts the power everywhere.
