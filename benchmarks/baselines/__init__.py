"""Strong ways to cluster MNIST that are not ours, on the split of `dimix reproduce`.

- umap: an autoencoder, UMAP of its latents, and the infinite mixture of what comes out.
- vade: VaDE, a VAE whose prior is a mixture of K Gaussians, trained by gradients; K known.
"""
