"""From recipe and profiles to one operation for each element header, compiled on first sight."""
