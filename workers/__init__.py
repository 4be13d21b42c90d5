"""Workers: processes that turn text into sound."""
