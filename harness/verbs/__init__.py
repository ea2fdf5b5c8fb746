"""What each verb of the command line does: reads options, calls the harness, prints."""
