"""The deep infinite mixture, as it is by default, on data that are not all of MNIST."""
