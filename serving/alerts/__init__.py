"""What is unusual in the days ahead, ranked by the units at stake."""
