"""Files of a model repository on the Hugging Face Hub, fetched for the operator, and cards in the Hub's form.

Knows addresses, listings and bytes; what the bytes mean is the readers' business, in their child process.
"""
