"""What a training needs: memory, and how it is refused before it starts."""
