"""The scikit-learn face: its arguments, how it is fitted, what a fit can be asked."""
