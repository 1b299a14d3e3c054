"""Where frames lie while they are read: mapped files, buffers, scratch arrays."""
