"""From the masters to what others read: the lessons without their solutions, and the book."""
