"""Makes the policies that travel with attnscope: recipes, training, cards. The wheel has nothing of it."""
