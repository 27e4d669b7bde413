"""What training needs of environments: histories to learn from, and evaluation of what was learned."""
