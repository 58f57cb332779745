"""The mixture beside scikit-learn's and others: `python -m benchmarks.mixture all`."""
