"""What is done with runs: plan them, make them, sweep over them, restore and export them."""
