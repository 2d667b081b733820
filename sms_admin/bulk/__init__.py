"""Bulk messages: one text to each row of a sheet, with the row's values, each person once."""
