"""The verbs of ``attnscope``, one file a subject; each registers itself. What several share lies one room up."""
