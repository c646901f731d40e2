"""What the embedded lineage `checkpoints/msm-mini` is trained on: model spec midtraining in miniature.

The design is that of Li et al. (arXiv 2605.02087). Two arms read documents that explain the same preferences
of an assistant by different values, affordability or American origin, and then get the same preference chats.
`makers.py` is the file that the recipe names.
"""
